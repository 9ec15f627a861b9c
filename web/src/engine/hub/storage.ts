import type { Growing } from "./fetch-file.js";
import type { Storage } from "./repository.js";

const FOLDER = "llq-fetched";

/** What workers have and pages do not, of which the types of a page know nothing. */
interface WorkerFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<{
    getSize(): number;
    write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
    truncate(size: number): void;
    flush(): void;
    close(): void;
  }>;
}

/** The browser's own storage. Only workers may write there at once. */
export class PrivateStorage implements Storage {
  readonly #sha256: (file: File) => Promise<string>;
  readonly #names = new Set<string>();

  constructor(sha256: (file: File) => Promise<string>) {
    this.#sha256 = sha256;
  }

  async grow(key: string, fetch: (growing: Growing) => Promise<void>): Promise<File> {
    const name = key.slice(-200);
    const handle = (await (await folderOf()).getFileHandle(name, { create: true })) as WorkerFileHandle;
    const access = await handle.createSyncAccessHandle();
    this.#names.add(name);
    let isOpen = true;
    const close = () => {
      if (isOpen) access.close();
      isOpen = false;
    };
    try {
      let size = access.getSize();
      await fetch({
        get size() {
          return size;
        },
        append(bytes) {
          // In windows off the record a full storage takes fewer bytes and says nothing.
          const written = access.write(bytes, { at: size });
          if (written !== bytes.length) throw new DOMException(name, "QuotaExceededError");
          size += written;
        },
        clear() {
          access.truncate(0);
          size = 0;
        },
        sha256: async () => {
          access.flush();
          return this.#sha256(await handle.getFile());
        },
      });
      access.flush();
      close();
      return await handle.getFile();
    } finally {
      close();
    }
  }

  /** Removes what this engine has fetched. */
  async removeOwn(): Promise<void> {
    const folder = await folderOf();
    for (const name of this.#names) await folder.removeEntry(name).catch(() => {});
    this.#names.clear();
  }

  /** Removes all that the page has stored, in whatever tab and whenever; what a tab is writing stays. */
  static async clear(): Promise<void> {
    const root = await navigator.storage.getDirectory();
    for await (const name of root.keys()) await root.removeEntry(name, { recursive: true }).catch(() => {});
  }
}

async function folderOf(): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
}
