import { LlqError } from "../../formats/errors.js";
import { forgetPrepared, placeFor, prepareFile, removeFiles } from "../host/browser/files.js";
import { HandleStore, MemoryStore, storageError } from "../host/browser/stores/store.js";
import { openSyncAccess } from "../host/browser/stores/worker-types.js";
import { t } from "../language/t.js";
import { partialPath } from "../run/write/claim.js";
import { writeError } from "../run/write/encode.js";
import { freeQuota, privateFolder } from "./abilities.js";
import type { OutputTarget } from "./api.js";

/** A place for a file, until it is complete. */
export interface Output {
  /** Where llq writes it. */
  readonly path: string;
  readonly name: string;
  /** Gives it its name. */
  publish(): Promise<File>;
  /** Takes away what is there of it; to be called when the work has failed. */
  discard(): Promise<void>;
}

/**
 * Opens an output for this worker alone, with room for all of it.
 * @throws LlqError `usage` for a name that is taken, or one that another tab is writing; `no-space`
 */
export async function openOutput(target: OutputTarget, byteLength: number, force: boolean): Promise<Output> {
  if (target.kind === "memory") return memoryOutput(target.name);
  const root = await privateFolder();
  if (target.kind === "handle") return chosenOutput(root, target.handle, byteLength);
  if (root === undefined) {
    throw new LlqError(
      "unsupported",
      t`${target.name}: this browser has no private file system to write to`,
      {
        hint: t`write it to memory`,
      },
    );
  }
  return privateOutput(root, target.name, byteLength, force);
}

function memoryOutput(name: string): Output {
  const path = placeFor(name);
  const store = new MemoryStore();
  prepareFile(partialPath(path), store, Number.POSITIVE_INFINITY);
  const forget = () => {
    forgetPrepared(partialPath(path));
    removeFiles(path);
  };
  return {
    path,
    name,
    publish: async () => {
      forget();
      return new File([store.toBlob()], name);
    },
    discard: async () => forget(),
  };
}

/** Movable files are renamed when they are complete; where none are, the file grows under its own name. */
type Movable = FileSystemFileHandle & { move?(name: string): Promise<void> };

async function privateOutput(
  root: FileSystemDirectoryHandle,
  name: string,
  byteLength: number,
  force: boolean,
): Promise<Output> {
  if (!force && (await exists(root, name))) throw isThere(name);
  const free = await checkQuota(name, byteLength);
  const partialName = `${name}.partial`;
  const handle: Movable = await create(root, partialName);
  const access = await openSyncAccess(handle).catch((cause) => {
    throw (cause as Error).name === "NoModificationAllowedError"
      ? isWritten(name)
      : writeError(name, storageError(cause));
  });
  const path = placeFor(name);
  const store = new HandleStore(access);
  prepareFile(partialPath(path), store, free);
  let isOpen = true;
  const close = () => {
    if (isOpen) access.close();
    isOpen = false;
    forgetPrepared(partialPath(path));
    removeFiles(path);
  };
  const discard = async () => {
    close();
    await root.removeEntry(partialName).catch(() => {});
  };
  try {
    store.truncate(0);
  } catch (cause) {
    await discard();
    throw noRoom(name, cause);
  }
  return {
    path,
    name,
    publish: async () => {
      close();
      if (await exists(root, name)) {
        if (!force) throw isThere(name);
        await root.removeEntry(name);
      }
      if (handle.move !== undefined) await handle.move(name);
      else {
        await copyTo(await create(root, name), await handle.getFile(), name);
        await root.removeEntry(partialName);
      }
      const file = await (await root.getFileHandle(name)).getFile();
      if (file.size !== byteLength) throw lost(name, byteLength, file.size);
      return file;
    },
    discard,
  };
}

/** Written to the private file system, where it can be read back, and copied when it is complete. */
async function chosenOutput(
  root: FileSystemDirectoryHandle | undefined,
  handle: FileSystemFileHandle,
  byteLength: number,
): Promise<Output> {
  const { name } = handle;
  const own = `llq-${crypto.randomUUID()}`;
  const inner = root === undefined ? memoryOutput(name) : await privateOutput(root, own, byteLength, false);
  const clean = () => root?.removeEntry(own).catch(() => {});
  return {
    path: inner.path,
    name,
    publish: async () => {
      try {
        await copyTo(handle, await inner.publish(), name);
      } finally {
        await clean();
      }
      const file = await handle.getFile();
      if (file.size !== byteLength) throw lost(name, byteLength, file.size);
      return file;
    },
    discard: async () => {
      await inner.discard();
      await clean();
    },
  };
}

const PIECE = 1 << 23;

/** @throws LlqError `usage` when it is open for writing elsewhere, `no-space` */
async function copyTo(handle: FileSystemFileHandle, file: File, name: string): Promise<void> {
  let stream: FileSystemWritableFileStream | undefined;
  try {
    stream = await handle.createWritable({ mode: "exclusive" } as FileSystemCreateWritableOptions);
    for (let done = 0; done < file.size; done += PIECE) {
      await stream.write(await file.slice(done, done + PIECE).arrayBuffer());
    }
    await stream.close();
  } catch (cause) {
    await stream?.abort().catch(() => {});
    throw (cause as Error).name === "NoModificationAllowedError"
      ? isWritten(name)
      : writeError(name, storageError(cause));
  }
}

async function create(root: FileSystemDirectoryHandle, name: string): Promise<FileSystemFileHandle> {
  try {
    return await root.getFileHandle(name, { create: true });
  } catch (cause) {
    if ((cause as Error).name === "TypeError" || (cause as Error).name === "TypeMismatchError")
      throw new LlqError("usage", t`${name}: is no name for a file here`, { cause });
    throw writeError(name, storageError(cause));
  }
}

async function exists(root: FileSystemDirectoryHandle, name: string): Promise<boolean> {
  try {
    await root.getFileHandle(name);
    return true;
  } catch {
    return false;
  }
}

/** Bytes that may be written. @throws LlqError `no-space` for fewer than the file has */
async function checkQuota(name: string, byteLength: number): Promise<number> {
  const free = await freeQuota();
  if (free === undefined) return Number.POSITIVE_INFINITY;
  if (free >= byteLength) return free;
  throw new LlqError(
    "no-space",
    t`${name}: needs ${byteLength} bytes, but the browser lets this page keep ${free} more`,
    {
      hint: t`remove files that it keeps, or choose a smaller type`,
    },
  );
}

/** The browser keeps no more, whatever it has said before. */
export function noRoom(name: string, cause: unknown): LlqError {
  return new LlqError("no-space", t`${name}: the browser keeps no more of this page's files`, {
    hint: t`remove files that it keeps, or choose a smaller type`,
    cause,
  });
}

function isThere(name: string): LlqError {
  return new LlqError("usage", t`${name}: exists already`, {
    hint: t`choose to replace it, or another name`,
  });
}

function isWritten(name: string): LlqError {
  return new LlqError("usage", t`${name}: is being written by another tab`, {
    hint: t`wait for it, or choose another name`,
  });
}

/** Off the record, files are taken and not kept. */
function lost(name: string, byteLength: number, size: number): LlqError {
  return new LlqError("no-space", t`${name}: ${byteLength} bytes were written, but the file has ${size}`);
}
