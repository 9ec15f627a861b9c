/** What this browser can do, as far as the page offers more or less because of it. */
export interface Device {
  /** Memory may be shared between threads: the page is served with COOP and COEP. */
  readonly isolated: boolean;
  /** Processors. */
  readonly threads: number;
  /** Bytes, rounded down by the browser; undefined where it does not say. */
  readonly memory: number | undefined;
  /** Bytes that the page may still store; undefined where the browser does not say. */
  readonly room: number | undefined;
  /** Bytes that the page has stored, in this visit or before. */
  readonly used: number;
  /** The browser lets a page keep files of its own, to write at any place in them. */
  readonly canStore: boolean;
  /** The browser asks where to save, and lets the page write there. */
  readonly canPickTarget: boolean;
  /** The browser lets a page read a folder without wording it as an upload. */
  readonly canPickFolder: boolean;
  /** Addresses of other machines must be https for most of this. */
  readonly secure: boolean;
  readonly simd: boolean;
  /** A service worker can add the headers that the host does not send. */
  readonly canIsolate: boolean;
}

/** The smallest module with a SIMD instruction: `i32.const 0; i8x16.splat; drop`. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11,
]);

/** The parts of a window that are looked at; tests make them up. */
export interface Surroundings {
  readonly crossOriginIsolated?: boolean;
  readonly isSecureContext?: boolean;
  readonly showSaveFilePicker?: unknown;
  readonly showDirectoryPicker?: unknown;
  readonly FileSystemFileHandle?: { prototype: object };
  readonly navigator: {
    readonly hardwareConcurrency?: number;
    readonly deviceMemory?: number;
    readonly serviceWorker?: unknown;
    readonly storage?: {
      getDirectory?: unknown;
      estimate?: () => Promise<{ quota?: number; usage?: number }>;
    };
  };
}

export async function examine(window: Surroundings): Promise<Device> {
  const { navigator } = window;
  const { storage } = navigator;
  return {
    isolated: window.crossOriginIsolated === true,
    threads: Math.max(1, navigator.hardwareConcurrency ?? 1),
    memory: navigator.deviceMemory === undefined ? undefined : navigator.deviceMemory * 1e9,
    ...(await roomOf(storage)),
    canStore: typeof storage?.getDirectory === "function",
    canPickTarget: typeof window.showSaveFilePicker === "function",
    canPickFolder: typeof window.showDirectoryPicker === "function",
    secure: window.isSecureContext !== false,
    simd: WebAssembly.validate(SIMD),
    canIsolate: navigator.serviceWorker !== undefined,
  };
}

/** Has a service worker add the headers of isolation from now on, and opens the page anew with them. */
export async function isolate(): Promise<void> {
  const { serviceWorker } = navigator;
  const isControlled = new Promise((done) =>
    serviceWorker.addEventListener("controllerchange", done, { once: true }),
  );
  await serviceWorker.register("./isolate.js");
  if (serviceWorker.controller === null) await isControlled;
  location.reload();
}

/** Some browsers refuse to say, as in private windows. */
async function roomOf(storage: Surroundings["navigator"]["storage"]): Promise<Pick<Device, "room" | "used">> {
  try {
    const { quota, usage = 0 } = (await storage?.estimate?.()) ?? {};
    return { room: quota === undefined ? undefined : Math.max(0, quota - usage), used: usage };
  } catch {
    return { room: undefined, used: 0 };
  }
}
