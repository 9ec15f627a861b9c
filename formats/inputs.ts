import { type BigIntStats, closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { badInput, LlqError, systemErrorCode } from "./errors.js";

// The one place that knows which files a command reads, and which it is going to write. Every file is opened for
// reading here; a command that asks for it has all of them remembered, so that none is written over, and none changes
// unseen while it is read.

/** What tells a file from every other, and from itself when it has changed. */
export interface FileStamp {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

type Identity = Pick<FileStamp, "dev" | "ino">;

let read: Map<string, FileStamp> | undefined;
const reserved = new Map<string, Identity>();

/** From now on remembers what is opened. For a process that runs one command. */
export function rememberInputs(): void {
  read ??= new Map();
}

/**
 * Opens a file for reading. What is no regular file is refused without waiting for who may write to it.
 * @throws LlqError `bad-input` when there is no such regular file or it may not be read, `usage` when it is to be
 * written too, `system` when too many files are open
 */
export function openInput(path: string): { readonly fd: number; readonly stamp: FileStamp } {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    throw openError(path, cause);
  }
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (!stat.isFile()) throw badInput(`${path}: not a regular file`);
    const stamp = stampOf(stat);
    if (read !== undefined) {
      for (const [output, other] of reserved) if (isSame(stamp, other)) throw inputToo(output);
      if (!read.has(path)) read.set(path, stamp);
    }
    return { fd, stamp };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Notes an output: if there is a file of that name, it must not become an input. */
export function reserveOutput(path: string): void {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat !== undefined) reserved.set(path, stat);
}

/** It is written, or will not be. */
export function freeOutput(path: string): void {
  reserved.delete(path);
}

/**
 * Refuses a file that is read, by whatever name, in the place of an output.
 * @param inputs files that are read, beside the remembered ones
 * @throws LlqError `usage`
 */
export function refuseInput(path: string, inputs: readonly string[] = []): void {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return;
  const stamps = inputs.flatMap((input) => statSync(input, { bigint: true, throwIfNoEntry: false }) ?? []);
  if ([...stamps, ...(read?.values() ?? [])].some((stamp) => isSame(stamp, stat))) throw inputToo(path);
}

/** @throws LlqError `bad-input` when a remembered file is no longer what was read */
export function checkInputs(): void {
  for (const [path, stamp] of read ?? []) checkUnchanged(path, stamp);
}

/**
 * A file that was deleted meanwhile is none that has changed: what was read of it stands.
 * @throws LlqError `bad-input` when another file has its name, or its size or time of change are others
 */
export function checkUnchanged(path: string, stamp: FileStamp): void {
  const now = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (now === undefined) return;
  if (isUnchanged(now, stamp)) return;
  throw badInput(
    `${path}: has changed while it was read`,
    "run again when nothing writes to it; no output was kept",
  );
}

export function stampOf({ dev, ino, size, mtimeNs }: BigIntStats): FileStamp {
  return { dev, ino, size, mtimeNs };
}

export function isUnchanged(now: FileStamp, then: FileStamp): boolean {
  return isSame(now, then) && now.size === then.size && now.mtimeNs === then.mtimeNs;
}

export function isSame(a: Identity, b: Identity): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

function inputToo(path: string): LlqError {
  return new LlqError("usage", `${path}: is an input too`, {
    hint: "choose another name: inputs are never overwritten",
  });
}

/** What a failed attempt to open or list `path` means to the user. */
export function openError(path: string, cause: unknown): LlqError {
  const why: Record<string, string> = {
    ENOENT: "no such file",
    ENOTDIR: "no such file",
    EACCES: "permission denied",
    EISDIR: "is a directory",
    ENAMETOOLONG: "the name is too long",
    ELOOP: "too many symbolic links",
    ENXIO: "not a regular file",
  };
  const code = systemErrorCode(cause);
  if (code === "EMFILE" || code === "ENFILE") {
    const hint = "allow more at once, such as by ulimit -n 8192";
    return new LlqError("system", `${path}: too many files are open`, { hint, cause });
  }
  return new LlqError("bad-input", `${path}: ${why[code ?? ""] ?? `cannot be opened (${code ?? cause})`}`, {
    cause,
  });
}
