import { closeSync, statSync } from "#host/files";
import { badInput } from "../../formats/errors.js";
import { type FileStamp, isUnchanged, openInput, stampOf } from "../../formats/inputs.js";
import { t } from "../language/t.js";

// A model can be in more files than a process may have open. Those beyond some are opened by the threads that read them,
// each a few at a time.

/** A file that is opened when it is read. Plain data. */
export interface LateFile {
  readonly path: string;
  /** What it was when the work began. */
  readonly stamp: FileStamp;
}

/** The file as it is now. */
export function lateFile(path: string): LateFile {
  return { path, stamp: stampOf(statSync(path, { bigint: true })) };
}

/** Files that a thread has open at once. */
const MAX_OPEN = 32;

/** Of this thread, the one that was used last at the end. */
const open = new Map<string, number>();

/** @throws LlqError `bad-input` when the file is no longer what it was */
export function descriptorOf(file: number | LateFile): number {
  if (typeof file === "number") return file;
  const { path, stamp } = file;
  let fd = open.get(path);
  open.delete(path);
  if (fd === undefined) {
    if (open.size === MAX_OPEN) closeOne();
    const input = openInput(path);
    fd = input.fd;
    if (!isUnchanged(input.stamp, stamp)) {
      closeSync(fd);
      throw badInput(t`${path}: has changed while it was read`);
    }
  }
  open.set(path, fd);
  return fd;
}

/** Closes what this thread has opened. */
export function closeLate(): void {
  while (open.size > 0) closeOne();
}

function closeOne(): void {
  const [path, fd] = open.entries().next().value!;
  open.delete(path);
  closeSync(fd);
}
