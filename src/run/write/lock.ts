import * as v from "valibot";
import { decodeUtf8 } from "#host/bytes";
import {
  closeSync,
  constants,
  dirname,
  fstatSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "#host/files";
import { isAlive, ownPid, ownPlace, startOf } from "#host/process";
import { delay, repeat } from "#host/time";
import { LlqError, systemErrorCode } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { writeError } from "./encode.js";

// A lock is a file that says who has it. Its owner is gone when its process is, where that can be seen; elsewhere,
// when it has given no sign of life for long. Two that break one lock at the same moment may both believe to have it,
// so what it guards must not be wrong even then: outputs and blobs get their names only as the very files written.

/** Milliseconds between signs of life, and after how long without one a lock of another machine is nobody's. */
const HEARTBEAT = 5_000;
const STALE = 60_000;
/** How long the content of a lock may be on its way. */
const UNWRITTEN = 2_000;
const POLL = 200;

const ownerRecord = v.object({
  /** Where its process can be seen. */
  place: v.string(),
  pid: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** When the process began, in the system's own count; tells it from a later one of the same number. */
  start: v.string(),
  /** When the lock was taken, for people. */
  since: v.string(),
});
export type Owner = v.InferOutput<typeof ownerRecord>;

/** A lock that this process holds. */
export interface Lock {
  release(): void;
}

/** Takes a lock, or says who has it; undefined for an owner that cannot be told. */
export function tryLock(path: string): Lock | { readonly owner: Owner | undefined } {
  const left = readLock(asidePath(path));
  if (left !== undefined && isAbandoned(left)) rmSync(asidePath(path), { force: true });
  for (;;) {
    const held = create(path);
    if (held !== undefined) return hold(path, held);
    const found = readLock(path);
    if (found === undefined) continue; // gone meanwhile
    if (!isAbandoned(found)) return { owner: found.owner };
    breakLock(path, found.text);
  }
}

/** Runs `work` while no other process does so under the same lock; waits for it. */
export async function withLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (cause) {
    throw writeError(path, cause);
  }
  let lock = tryLock(path);
  while (!("release" in lock)) {
    signal?.throwIfAborted();
    await delay(POLL);
    lock = tryLock(path);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/**
 * Takes a lock that is free, or whose owner is gone. An owner on another machine may have been killed just now: it is waited
 * for until it gives a sign of life, or has given none for long.
 */
export async function lockOfTheDead(
  path: string,
  signal: AbortSignal | undefined,
): Promise<Lock | { readonly owner: Owner | undefined }> {
  const first = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs;
  for (;;) {
    const lock = tryLock(path);
    if ("release" in lock || lock.owner?.place === ownPlace()) return lock;
    if (lstatSync(path, { throwIfNoEntry: false })?.mtimeMs !== first) return lock;
    signal?.throwIfAborted();
    await delay(POLL);
  }
}

/** The content of a lock of ours; undefined when there is one already. */
function create(path: string): string | undefined {
  const since = new Date().toISOString();
  const owner: Owner = { place: ownPlace(), pid: ownPid, start: startOf(ownPid) ?? "", since };
  const text = JSON.stringify(owner);
  let fd: number;
  try {
    fd = openSync(path, "wx"); // never through a link
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST") return undefined;
    throw writeError(path, error);
  }
  try {
    writeFileSync(fd, text);
    return text;
  } catch (error) {
    rmSync(path, { force: true });
    throw writeError(path, error);
  } finally {
    closeSync(fd);
  }
}

function hold(path: string, text: string): Lock {
  const stop = repeat(HEARTBEAT, () => {
    try {
      const now = new Date();
      lutimesSync(path, now, now);
    } catch {
      // taken from us: see above
    }
  });
  return {
    release() {
      stop();
      if (readLock(path)?.text === text) rmSync(path, { force: true });
    },
  };
}

interface Found {
  readonly text: string;
  readonly owner: Owner | undefined;
  /** Milliseconds since the last sign of life. */
  readonly age: number;
}

const MAX_LOCK_BYTES = 4096;

/** @throws LlqError `usage` for what is no file of ours */
function readLock(path: string): Found | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw notOurs(path);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > MAX_LOCK_BYTES) throw notOurs(path);
    const bytes = new Uint8Array(MAX_LOCK_BYTES);
    const text = decodeUtf8(bytes.subarray(0, readSync(fd, bytes)));
    return { text, owner: parseOwner(text), age: Date.now() - stat.mtimeMs };
  } finally {
    closeSync(fd);
  }
}

function notOurs(path: string): LlqError {
  return new LlqError("usage", t`${path}: is no lock of llq`, {
    hint: t`remove it, or choose another output`,
  });
}

function parseOwner(text: string): Owner | undefined {
  try {
    const { success, output } = v.safeParse(ownerRecord, JSON.parse(text));
    return success ? output : undefined;
  } catch {
    return undefined; // still being written, or not ours
  }
}

/** Where its process can be seen, whether it is there decides; elsewhere its last sign of life. */
function isAbandoned({ text, owner, age }: Found): boolean {
  if (owner === undefined) return age > (text === "" ? UNWRITTEN : STALE);
  if (owner.place !== ownPlace()) return age > STALE;
  return !isAlive(owner.pid) || (startOf(owner.pid) ?? owner.start) !== owner.start;
}

/** Where a lock is on its way out; that of a run that was killed then, the next one takes away. */
function asidePath(path: string): string {
  return `${path}.stale`;
}

/** By a rename, of which only one of several that try at once succeeds; a fresh lock taken by mistake is put back. */
function breakLock(path: string, stale: string): void {
  const aside = asidePath(path);
  try {
    renameSync(path, aside);
    if (readLock(aside)?.text === stale || lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
      rmSync(aside, { force: true });
    } else renameSync(aside, path);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw writeError(path, error);
  }
}
