import type { BigStat, HostFiles, Stat } from "../types.js";
import { dirname, resolve } from "./paths.js";
import { HostError, MemoryStore, type Store } from "./stores/store.js";

export * from "./paths.js";

// The files that a page has given, and those that llq writes, by paths; all of this worker's threads know them (threads.ts).

/** A file by a name. */
export interface Entry {
  readonly id: number;
  readonly store: Store;
  /** Milliseconds since 1970. */
  changed: number;
}

/** What threads are told of, in order: files and descriptors, as they come and go. */
export type FileEvent =
  | { readonly add: string; readonly entry: Entry }
  | { readonly remove: string }
  | { readonly open: number; readonly path: string }
  | { readonly close: number };

const byPath = new Map<string, Entry>();
const opened = new Map<number, { readonly path: string; readonly entry: Entry; cursor: number }>();
/** Bytes that may be written to a folder, where that is known. */
const room = new Map<string, number>();
/** Stores for files that are created at these paths; elsewhere it is memory. */
const prepared = new Map<string, Store>();
let nextId = 1;
let nextFd = 3;
const followers = new Set<FileEvent[]>();

/** Gets all that is there now, and what comes to be later, until `unfollowFiles`. */
export function followFiles(): FileEvent[] {
  const queue: FileEvent[] = [...byPath].map(([add, entry]) => ({ add, entry }));
  for (const [open, { path }] of opened) if (byPath.has(path)) queue.push({ open, path });
  followers.add(queue);
  return queue;
}

export function unfollowFiles(queue: FileEvent[]): void {
  followers.delete(queue);
}

function tell(event: FileEvent): void {
  for (const queue of followers) queue.push(event);
}

let places = 0;

/** A path by that name: of what is there already, nothing is in the way. */
export function placeFor(name: string): string {
  const isFree = (path: string) => !byPath.has(path) && !isFolder(path);
  return isFree(resolve(name)) && isFree(resolve(`${name}.partial`)) ? name : `${++places}/${name}`;
}

/** Puts a file there. */
export function addFile(path: string, store: Store, changed = Date.now()): void {
  place(resolve(path), { id: nextId++, store, changed });
}

function place(path: string, entry: Entry): void {
  byPath.set(path, entry);
  tell({ add: path, entry });
}

/** Takes away a file, or all that are in a folder. */
export function removeFiles(path: string): void {
  const place = resolve(path);
  for (const name of [...byPath.keys()]) if (name === place || name.startsWith(`${place}/`)) remove(name);
}

function remove(path: string): void {
  byPath.delete(path);
  tell({ remove: path });
}

/** The file that is created at `path` is to be in `store`; with `free` bytes for all of the folder. */
export function prepareFile(path: string, store: Store, free: number): void {
  prepared.set(resolve(path), store);
  room.set(resolve(dirname(path)), free);
}

export function forgetPrepared(path: string): void {
  prepared.delete(resolve(path));
  room.delete(resolve(dirname(path)));
}

/** What another thread has done to files; `made` has a store of this thread's for an entry of that one's. */
export function follow(event: FileEvent, made: (entry: Entry) => Entry): void {
  if ("add" in event) byPath.set(event.add, made(event.entry));
  else if ("remove" in event) byPath.delete(event.remove);
  else if ("close" in event) opened.delete(event.close);
  else {
    const entry = byPath.get(event.path);
    if (entry !== undefined) opened.set(event.open, { path: event.path, entry, cursor: 0 });
    nextFd = Math.max(nextFd, event.open + LATER);
  }
}

/** Descriptors that a thread opens itself must not be another's. */
const LATER = 1 << 20;

const [O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL] = [0, 1, 2, 64, 128];
const FLAGS = { r: O_RDONLY, wx: O_WRONLY | O_CREAT | O_EXCL, "wx+": O_RDWR | O_CREAT | O_EXCL };

function isFolder(path: string): boolean {
  const start = path === "/" ? "/" : `${path}/`;
  return room.has(path) || [...byPath.keys()].some((name) => name.startsWith(start));
}

function missing(path: string): HostError {
  return new HostError("ENOENT", `no such file or folder, ${path}`);
}

/** The file of a descriptor, if it is open. */
export function openEntry(fd: number): Entry | undefined {
  return opened.get(fd)?.entry;
}

function entryOf(fd: number): { readonly path: string; readonly entry: Entry; cursor: number } {
  const found = opened.get(fd);
  if (found === undefined) throw new HostError("EBADF", `descriptor ${fd} is closed`);
  return found;
}

function statEntry(entry: Entry | undefined): BigStat & Stat {
  const size = entry?.store.byteLength ?? 0;
  const numbers = { dev: 1n, ino: BigInt(entry?.id ?? 0), mtimeNs: BigInt(entry?.changed ?? 0) * 1_000_000n };
  return {
    ...numbers,
    size,
    mtimeMs: entry?.changed ?? 0,
    nlink: 1,
    blocks: 0,
    isFile: () => entry !== undefined,
    isDirectory: () => entry === undefined,
    isSymbolicLink: () => false,
  } as unknown as BigStat & Stat;
}

interface StatOptions {
  readonly bigint?: boolean;
  readonly throwIfNoEntry?: boolean;
}

function sized(stat: BigStat & Stat, { bigint = false }: StatOptions): BigStat & Stat {
  return (bigint ? { ...stat, size: BigInt(stat.size) } : stat) as BigStat & Stat;
}

function statPath(path: string, options: StatOptions = {}): BigStat & Stat {
  const name = resolve(path);
  const entry = byPath.get(name);
  if (entry === undefined && !isFolder(name)) {
    if (options.throwIfNoEntry === false) return undefined as unknown as BigStat & Stat;
    throw missing(path);
  }
  return sized(statEntry(entry), options);
}

function read(
  fd: number,
  target: Uint8Array,
  offset = 0,
  length = target.length - offset,
  position?: number,
) {
  const file = entryOf(fd);
  const got = file.entry.store.read(target, offset, length, position ?? file.cursor);
  if (position === undefined) file.cursor += got;
  return got;
}

export const {
  constants,
  openSync,
  closeSync,
  readSync,
  writeSync,
  readFileSync,
  writeFileSync,
  ftruncateSync,
  fsyncSync,
  fdatasync,
  fstatSync,
  statSync,
  lstatSync,
  statfsSync,
  existsSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  mkdirSync,
  renameSync,
  rmSync,
  lutimesSync,
}: HostFiles = {
  constants: { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT },
  openSync: (path, how) => {
    const flags = typeof how === "string" ? FLAGS[how] : how;
    const name = resolve(path);
    const found = byPath.get(name);
    if (found !== undefined && (flags & O_EXCL) !== 0) throw new HostError("EEXIST", path);
    if (found === undefined && isFolder(name)) throw new HostError("EISDIR", path);
    if (found === undefined) {
      if ((flags & O_CREAT) === 0) throw missing(path);
      addFile(name, prepared.get(name) ?? new MemoryStore());
    }
    const fd = nextFd++;
    opened.set(fd, { path: name, entry: byPath.get(name)!, cursor: 0 });
    tell({ open: fd, path: name });
    return fd;
  },
  closeSync: (fd) => {
    opened.delete(fd);
    tell({ close: fd });
  },
  readSync: read,
  writeSync: (fd, source, offset, length, position) => {
    const { entry } = entryOf(fd);
    entry.changed = Date.now();
    return entry.store.write(source.subarray(offset, offset + length), position);
  },
  readFileSync: (path) => {
    const entry = byPath.get(resolve(path));
    if (entry === undefined) throw missing(path);
    const bytes = new Uint8Array(entry.store.byteLength);
    for (let done = 0; done < bytes.length; ) {
      const got = entry.store.read(bytes, done, bytes.length - done, done);
      if (got === 0) throw new HostError("EIO", `${path} ends early`);
      done += got;
    }
    return bytes;
  },
  writeFileSync: (fd, content) => {
    const file = entryOf(fd);
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    for (let done = 0; done < bytes.length; )
      done += file.entry.store.write(bytes.subarray(done), file.cursor + done);
    file.cursor += bytes.length;
  },
  ftruncateSync: (fd, byteLength) => entryOf(fd).entry.store.truncate(byteLength),
  fsyncSync: (fd) => entryOf(fd).entry.store.flush(),
  // This thread waits for the disk, but others have work meanwhile, and at the end they would have none.
  fdatasync: (fd, done) =>
    queueMicrotask(() => {
      try {
        entryOf(fd).entry.store.flush();
        done(null);
      } catch (error) {
        done(error as Error);
      }
    }),
  fstatSync: (fd: number, options: StatOptions = {}) => sized(statEntry(entryOf(fd).entry), options),
  statSync: statPath,
  lstatSync: statPath,
  statfsSync: (path) => ({ bsize: 1, bavail: room.get(resolve(path)) ?? 0 }),
  existsSync: (path) => byPath.has(resolve(path)) || isFolder(resolve(path)),
  readdirSync: (path) => {
    const folder = resolve(path);
    if (byPath.has(folder)) throw new HostError("ENOTDIR", path);
    if (!isFolder(folder)) throw missing(path);
    const start = folder === "/" ? 1 : folder.length + 1;
    const inside = [...byPath.keys()].filter((name) => name.startsWith(folder === "/" ? "/" : `${folder}/`));
    return [...new Set(inside.map((name) => name.slice(start).split("/")[0]!))].sort();
  },
  readlinkSync: (path) => {
    throw new HostError("EINVAL", path);
  },
  realpathSync: (path) => resolve(path),
  mkdirSync: () => undefined,
  renameSync: (from, to) => {
    const entry = byPath.get(resolve(from));
    if (entry === undefined) throw missing(from);
    remove(resolve(from));
    place(resolve(to), entry);
  },
  rmSync: (path) => {
    if (byPath.has(resolve(path))) remove(resolve(path));
  },
  lutimesSync: () => {},
};
