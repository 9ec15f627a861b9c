import type { Growing } from "./fetch-file.js";
import type { Storage } from "./repository.js";

const FOLDER = "llq-fetched";

/** The browser's own storage. Only workers may write there at once. */
export class PrivateStorage implements Storage {
  readonly #sha256: (file: File) => Promise<string>;

  constructor(sha256: (file: File) => Promise<string>) {
    this.#sha256 = sha256;
  }

  async grow(key: string, fetch: (growing: Growing) => Promise<void>): Promise<File> {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, {
      create: true,
    });
    const handle = await folder.getFileHandle(key.slice(-200), { create: true });
    const access = await handle.createSyncAccessHandle();
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
          if (written !== bytes.length) throw new DOMException("storage is full", "QuotaExceededError");
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

  /** Forgets all that was fetched. */
  static async clear(): Promise<void> {
    const root = await navigator.storage.getDirectory();
    await root.removeEntry(FOLDER, { recursive: true }).catch(() => {});
  }
}
