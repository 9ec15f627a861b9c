import { LlqError } from "../../formats/errors.js";
import { deviceMemory } from "../host/browser/memory.js";
import { availableParallelism } from "../host/browser/threads.js";
import { t } from "../language/t.js";
import type { Abilities } from "./api.js";

/** What this browser, in this page, can do. */
export async function abilities(): Promise<Abilities> {
  return {
    sharedMemory: hasSharedMemory(),
    privateFiles: (await privateFolder()) !== undefined,
    chosenFiles: hasMethod("createWritable"),
    threads: availableParallelism(),
    memory: deviceMemory(),
    quota: await freeQuota(),
  };
}

/** Whether workers may have memory in common: of pages that are isolated from others alone. */
export function hasSharedMemory(): boolean {
  return typeof SharedArrayBuffer !== "undefined" && globalThis.crossOriginIsolated === true;
}

/** @throws LlqError `unsupported` where memory cannot be shared */
export function needSharedMemory(): void {
  if (hasSharedMemory()) return;
  throw new LlqError(
    "unsupported",
    t`this page cannot evaluate: the browser shares no memory between its workers`,
    {
      hint: t`serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp`,
    },
  );
}

/** The root of the private file system; undefined where there is none, or none that workers can write at once. */
export async function privateFolder(): Promise<FileSystemDirectoryHandle | undefined> {
  if (!hasMethod("createSyncAccessHandle")) return undefined;
  try {
    return await navigator.storage.getDirectory();
  } catch {
    return undefined; // off the record, some browsers have it and give none
  }
}

function hasMethod(name: string): boolean {
  return typeof FileSystemFileHandle !== "undefined" && name in FileSystemFileHandle.prototype;
}

/** Bytes that may still be kept; undefined where the browser does not say. */
export async function freeQuota(): Promise<number | undefined> {
  try {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined ? undefined : Math.max(0, quota - (usage ?? 0));
  } catch {
    return undefined;
  }
}
