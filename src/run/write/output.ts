import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { readFully } from "../../../formats/bytes.js";
import { type ErrorCode, LlqError, systemErrorCode } from "../../../formats/errors.js";
import {
  checkInputs,
  type FileStamp,
  freeOutput,
  isSame,
  lookUp,
  refuseInput,
  reserveOutput,
  stampOf,
} from "../../../formats/inputs.js";
import { writeError, writeFully } from "./encode.js";
import { type Lock, tryLock } from "./lock.js";

/** Where an output grows until it is complete. */
export function partialPath(output: string): string {
  return `${output}.partial`;
}

/** Where the record of what is done stands meanwhile. */
export function journalPath(output: string): string {
  return `${output}.partial.journal`;
}

/** Who writes an output. */
function lockPath(output: string): string {
  return `${output}.partial.lock`;
}

export interface OutputOptions {
  /** Of all outputs together; what is not known before the work counts as nothing. */
  readonly byteLength?: number | undefined;
  /** Files that are read, beside those that the process remembers (formats/inputs.ts). */
  readonly inputs?: readonly string[] | undefined;
  /** Replace outputs that exist. */
  readonly force?: boolean | undefined;
}

/**
 * Refuses, before any work, outputs in one folder that exist, are inputs or no regular files, or cannot fit the disk.
 * @throws LlqError `usage`, `no-space`
 */
export function checkOutputs(
  outputs: readonly string[],
  { byteLength = 0, inputs = [], force = false }: OutputOptions,
): void {
  const first = outputs[0]!;
  if (outputs.includes("")) throw new LlqError("usage", "an output has no name");
  const folder = dirname(first);
  if (!lookUp(folder)?.isDirectory()) {
    const message = `${first}: the folder ${folder} does not exist`;
    throw new LlqError("usage", message, { hint: `mkdir -p ${folder}` });
  }
  for (const output of outputs) checkPlace(output, inputs, force);
  const { bavail, bsize } = statfsSync(folder);
  const kept = outputs.flatMap((output) => statSync(partialPath(output), { throwIfNoEntry: false }) ?? []);
  const free = kept.reduce((sum, { blocks }) => sum + blocks * 512, bavail * bsize);
  if (free < byteLength) {
    const message = `${first}: needs ${byteLength} bytes, but ${realpathSync(folder)} has ${free} free`;
    throw new LlqError("no-space", message, { hint: "free some space or choose another output folder" });
  }
}

function checkPlace(output: string, inputs: readonly string[], force: boolean): void {
  for (const path of [output, partialPath(output), journalPath(output)]) {
    refuseInput(path, inputs);
    const stat = placeOf(path);
    if (stat?.isSymbolicLink()) {
      const hint = "name the file itself: a link is neither followed nor replaced";
      throw new LlqError("usage", `${path}: is a symbolic link`, { hint });
    }
    if (stat !== undefined && !stat.isFile()) throw new LlqError("usage", `${path}: is not a regular file`);
  }
  if (!force) refuseExisting(output);
}

/** What has this name, a link itself. @throws LlqError `usage` for a name that nothing can have */
function placeOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw new LlqError("usage", `${path}: cannot be written (${systemErrorCode(cause) ?? cause})`, { cause });
  }
}

function refuseExisting(output: string): void {
  if (placeOf(output) === undefined) return;
  throw new LlqError("usage", `${output}: exists already`, { hint: "--force replaces it" });
}

/** Outputs that are this run's alone. */
export interface Claim {
  /** Lets others write them; to be called however the work ends. */
  release(): void;
}

/**
 * Takes the outputs for this run, before anything of an earlier one is touched.
 * @throws LlqError as checkOutputs; `usage`, too, when another run is writing one of them
 */
export function claimOutputs(outputs: readonly string[], options: OutputOptions): Claim {
  checkOutputs(outputs, options);
  const locks: Lock[] = [];
  const claim = {
    release() {
      for (const lock of locks.splice(0)) lock.release();
      for (const output of outputs) freeOutput(output);
    },
  };
  try {
    for (const output of outputs) {
      locks.push(claimOne(output));
      reserveOutput(output);
    }
    checkOutputs(outputs, options); // what another run has finished since
    return claim;
  } catch (error) {
    claim.release();
    throw error;
  }
}

function claimOne(output: string): Lock {
  const lock = tryLock(lockPath(output));
  if ("release" in lock) return lock;
  const { owner } = lock;
  if (owner?.pid === process.pid) throw new LlqError("usage", `${output}: is to be written twice at once`);
  const who = owner === undefined ? "another run" : `process ${owner.pid} on ${owner.place.split(" ")[0]}`;
  const since = owner === undefined ? "" : `, since ${owner.since}`;
  throw new LlqError("usage", `${output}: is being written by ${who}${since}`, {
    hint: "wait for it, or choose another name",
  });
}

/** Creates a file that is read and written, in the place of whatever has its name; a link there is not followed. */
export function createFile(path: string): number {
  try {
    rmSync(path, { force: true });
    return openSync(path, "wx+");
  } catch (cause) {
    throw writeError(path, cause);
  }
}

/** Opens a file that was left, to be gone on with; creates one if there is none. A link is not followed. */
export function reopenFile(path: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o666);
  } catch (cause) {
    throw writeError(path, cause);
  }
  const stat = fstatSync(fd);
  if (stat.isFile() && stat.nlink === 1) return fd;
  closeSync(fd);
  throw new LlqError("usage", `${path}: is not a file of one name`, { hint: "remove it" });
}

/** Opens the partial output at its full length; what it holds already stays. */
export function openPartial(partial: string, byteLength: number): number {
  const fd = reopenFile(partial);
  try {
    ftruncateSync(fd, byteLength);
    return fd;
  } catch (cause) {
    closeSync(fd);
    throw writeError(partial, cause);
  }
}

/** Bytes worth a flush: each also costs the disk a commit of its journal. */
const FLUSH_BYTES = 1 << 24;

/**
 * Has the disk take what is written while more is computed: at the end little is left to wait for. An error that the
 * system tells of once must not be lost, so it is kept for `finish`.
 */
export class Flusher {
  readonly #fd: number;
  readonly #output: string;
  #unflushed = 0;
  #underWay: Promise<void> | undefined;
  #error: Error | undefined;

  constructor(fd: number, output: string) {
    this.#fd = fd;
    this.#output = output;
  }

  /** To be told of what was written. Starts a flush when there is enough for one and none is under way. */
  wrote(byteLength: number): void {
    this.#unflushed += byteLength;
    if (this.#unflushed < FLUSH_BYTES || this.#error !== undefined || this.#underWay !== undefined) return;
    this.#unflushed = 0;
    this.#underWay = new Promise((resolve) => {
      fdatasync(this.#fd, (error) => {
        if (error !== null) this.#error = error;
        this.#underWay = undefined;
        resolve();
      });
    });
  }

  /** Waits for the flush under way; then the descriptor may be closed. */
  async stop(): Promise<void> {
    await this.#underWay;
  }

  /** The same. @throws LlqError `no-space` and the like when a flush failed */
  async finish(): Promise<void> {
    await this.stop();
    if (this.#error !== undefined) throw writeError(this.#output, this.#error);
  }
}

/** Makes sure that all of it is on the disk, and says which file it is. */
export function settle(fd: number, output: string, byteLength: number): FileStamp {
  try {
    fsyncSync(fd);
  } catch (cause) {
    throw writeError(output, cause);
  }
  const stamp = stampOf(fstatSync(fd, { bigint: true }));
  if (stamp.size !== BigInt(byteLength)) {
    const message = `${output}: ${byteLength} bytes were written, but the file has ${stamp.size}`;
    throw new LlqError("no-space", message);
  }
  return stamp;
}

/**
 * Gives a settled output its name, if its partial name still is that very file.
 * @throws LlqError `usage` when it is not, when an output has appeared that is not to be replaced, or an input is in
 * its place; `bad-input` when an input has changed
 */
export function publish(output: string, written: FileStamp, force: boolean): void {
  checkInputs();
  const partial = partialPath(output);
  const found = lstatSync(partial, { bigint: true, throwIfNoEntry: false });
  if (found === undefined || !isSame(found, written)) {
    throw new LlqError("usage", `${partial}: another process has put something else in its place`);
  }
  freeOutput(output);
  refuseInput(output);
  if (!force) refuseExisting(output);
  try {
    renameSync(partial, output);
  } catch (cause) {
    throw writeError(output, cause);
  }
  syncFolder(dirname(output));
}

const PIECE = 1 << 20;

/** @throws LlqError `no-space` when a file is not what was written: a disk that lies must give no file that looks complete */
export function checkReadBack(fd: number, output: string, written: number, byteLength: number): void {
  const piece = new Uint8Array(Math.min(PIECE, byteLength));
  let crc = 0;
  for (let done = 0; done < byteLength; done += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, byteLength - done));
    readFully(fd, output, part, done);
    crc = crc32(part, crc);
  }
  if (crc === written) return;
  throw new LlqError("no-space", `${output}: reads back other than it was written`, {
    hint: "the disk or its connection is failing",
  });
}

/** Writes an output that is in memory and claimed. What is there stays if that fails. */
export function writeOutput(output: string, bytes: Uint8Array, force: boolean): void {
  const partial = partialPath(output);
  const fd = createFile(partial);
  try {
    writeFully({ fd, name: output, offset: 0 }, bytes);
    checkReadBack(fd, output, crc32(bytes), bytes.length);
    publish(output, settle(fd, output, bytes.length), force);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

const RESUMABLE: ReadonlySet<string> = new Set<ErrorCode>(["interrupted", "no-space"]);

/** Whether the same work may be gone on with after this failure. */
export function isResumable(error: unknown): error is LlqError {
  return error instanceof LlqError && RESUMABLE.has(error.code);
}

/** The error, telling how to go on if what is done was `kept`. */
export function withResumeHint(error: LlqError, kept: string): LlqError {
  if (!existsSync(kept)) return error;
  const hint = `${error.hint === undefined ? "" : `${error.hint}; `}--resume goes on from ${kept}`;
  return new LlqError(error.code, error.message, { hint, cause: error });
}

/** Makes the rename last through a power cut, where the system allows to sync a folder. */
function syncFolder(folder: string): void {
  try {
    const fd = openSync(folder, "r");
    fsyncSync(fd);
    closeSync(fd);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === undefined || !["EPERM", "EISDIR", "EINVAL", "EACCES"].includes(code))
      throw writeError(folder, error);
  }
}
