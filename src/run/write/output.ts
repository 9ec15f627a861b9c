import {
  closeSync,
  constants,
  dirname,
  existsSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
} from "#host/files";
import { crc32 } from "#host/hash";
import { readFully } from "../../../formats/bytes.js";
import { type ErrorCode, LlqError, systemErrorCode } from "../../../formats/errors.js";
import {
  checkInputs,
  type FileStamp,
  freeOutput,
  isSame,
  refuseInput,
  stampOf,
} from "../../../formats/inputs.js";
import { t } from "../../language/t.js";
import { partialPath, refuseExisting } from "./claim.js";
import { writeError, writeFully } from "./encode.js";

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
  throw new LlqError("usage", t`${path}: is not a file of one name`, { hint: t`remove it` });
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

/**
 * Another descriptor of a file that is open, for writing alone. Where machines write to one file over NFS, the client of each
 * writes a whole page back if it knows all of it, as it does of files that are read as well: what another machine has written
 * to the rest of that page meanwhile would be lost.
 * @throws LlqError `usage` when its name leads to another file by now
 */
export function openForWriting(path: string, fd: number): number {
  let writer: number;
  try {
    writer = openSync(path, constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    throw writeError(path, cause);
  }
  const [here, there] = [fd, writer].map((each) => stampOf(fstatSync(each, { bigint: true })));
  if (isSame(here!, there!)) return writer;
  closeSync(writer);
  throw new LlqError("usage", t`${path}: another process has put something else in its place`);
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
    const message = t`${output}: ${byteLength} bytes were written, but the file has ${stamp.size}`;
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
    throw new LlqError("usage", t`${partial}: another process has put something else in its place`);
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
  throw new LlqError("no-space", t`${output}: reads back other than it was written`, {
    hint: t`the disk or its connection is failing`,
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

const RESUMABLE: ReadonlySet<string> = new Set<ErrorCode>(["interrupted", "terminated", "no-space"]);

/** Whether the same work may be gone on with after this failure. */
export function isResumable(error: unknown): error is LlqError {
  return error instanceof LlqError && RESUMABLE.has(error.code);
}

/** The error, telling how to go on if what is done was `kept`. */
export function withResumeHint(error: LlqError, kept: string): LlqError {
  if (!existsSync(kept)) return error;
  const hint = t`${error.hint === undefined ? "" : `${error.hint}; `}--resume goes on from ${kept}`;
  return new LlqError(error.code, error.message, { hint, cause: error });
}

/** Makes the rename last through a power cut, where the system allows to sync a folder. */
export function syncFolder(folder: string): void {
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
