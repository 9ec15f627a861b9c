import type { SyncAccessHandle } from "../../src/host/browser/stores/worker-types.js";

// Doubles of what browsers have in workers, as far as llq/browser asks for it. None is a real browser: what one of these lacks
// or does wrong is what such a browser is documented, or was seen, to lack or to do.

export interface Ways {
  /** Bytes that may be kept. Default: any. */
  readonly quota?: number;
  /** What a write without room does: Chromium 156 throws nothing. Default: throws. */
  readonly full?: "throws" | "minus 8" | "nothing";
  /** Whether files can be renamed. Default: they can. */
  readonly move?: boolean;
  /** Whether files can be written as streams. Default: they can. */
  readonly createWritable?: boolean;
  /** Whether workers have files open at once. Default: they have. */
  readonly syncAccess?: boolean;
  /** Off the record: writes are counted, and nothing is kept. */
  readonly forgets?: boolean;
}

class Content {
  bytes = new Uint8Array(0);
  isOpen = false;

  resize(length: number): void {
    const bytes = new Uint8Array(length);
    bytes.set(this.bytes.subarray(0, length));
    this.bytes = bytes;
  }
}

/** Installs a private file system and the rest in the place of the globals that browsers have. */
export function installDoubles(ways: Ways): { readonly names: () => string[]; readonly remove: () => void } {
  const { quota = Number.POSITIVE_INFINITY, full = "throws", forgets = false } = ways;
  const files = new Map<string, Content>();
  const used = () => [...files.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  const fail = (name: string) => new DOMException(name, name);

  const open = (content: Content): SyncAccessHandle => ({
    read: (target, { at }) => {
      const some = content.bytes.subarray(at, at + target.length);
      target.set(some);
      return some.length;
    },
    write: (source, { at }) => {
      const end = at + source.length;
      if (used() - content.bytes.length + end > quota) {
        if (full === "throws") throw fail("QuotaExceededError");
        return full === "minus 8" ? 2 ** 32 - 8 : 0;
      }
      if (forgets) return source.length;
      if (end > content.bytes.length) content.resize(end);
      content.bytes.set(source, at);
      return source.length;
    },
    truncate: (length) => {
      if (length > quota) {
        if (full === "throws") throw fail("QuotaExceededError");
        return;
      }
      if (!forgets) content.resize(length);
    },
    getSize: () => content.bytes.length,
    flush: () => {},
    close: () => {
      content.isOpen = false;
    },
  });

  class FileHandle {
    readonly kind = "file";
    name: string;
    constructor(name: string) {
      this.name = name;
    }
    get content(): Content {
      const content = files.get(this.name);
      if (content === undefined) throw fail("NotFoundError");
      return content;
    }
    async getFile() {
      return new File([this.content.bytes], this.name);
    }
  }
  const methods: Record<string, (this: FileHandle, ...args: never[]) => unknown> = {
    async createSyncAccessHandle() {
      if (this.content.isOpen) throw fail("NoModificationAllowedError");
      this.content.isOpen = true;
      return open(this.content);
    },
    async createWritable() {
      const parts: Uint8Array[] = [];
      return {
        write: async (part: ArrayBuffer) => void parts.push(new Uint8Array(part)),
        close: async () => {
          this.content.bytes = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
        },
        abort: async () => {},
      };
    },
    async move(name: never) {
      files.set(name, this.content);
      files.delete(this.name);
      this.name = name;
    },
  };
  if (ways.syncAccess === false) delete methods["createSyncAccessHandle"];
  if (ways.createWritable === false) delete methods["createWritable"];
  if (ways.move === false) delete methods["move"];
  Object.assign(FileHandle.prototype, methods);

  const root = {
    async getFileHandle(name: string, { create = false } = {}) {
      if (!files.has(name)) {
        if (!create) throw fail("NotFoundError");
        files.set(name, new Content());
      }
      return new FileHandle(name);
    },
    async removeEntry(name: string) {
      if (!files.delete(name)) throw fail("NotFoundError");
    },
  };
  const storage = {
    getDirectory: async () => root,
    estimate: async () => (Number.isFinite(quota) && full === "throws" ? { quota, usage: used() } : {}),
  };
  class Reader {
    readAsArrayBuffer(): ArrayBuffer {
      throw new DOMException("the file has changed", "NotReadableError");
    }
  }
  const before = new Map<string, PropertyDescriptor | undefined>();
  const put = (name: string, value: unknown) => {
    before.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  };
  put("FileSystemFileHandle", FileHandle);
  put("FileReaderSync", Reader);
  put("navigator", { storage, hardwareConcurrency: 2 });
  return {
    names: () => [...files.keys()].sort(),
    remove: () => {
      for (const [name, descriptor] of before) {
        if (descriptor === undefined) delete (globalThis as Record<string, unknown>)[name];
        else Object.defineProperty(globalThis, name, descriptor);
      }
    },
  };
}
