import {
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  realpathSync,
  renameSync,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { type ErrorCode, LlqError, systemErrorCode } from "../../../formats/errors.js";
import { writeError, writeFully } from "./encode.js";

/** Where an output grows until it is complete. */
export function partialPath(output: string): string {
  return `${output}.partial`;
}

/** Where the record of what is done stands meanwhile. */
export function journalPath(output: string): string {
  return `${output}.partial.journal`;
}

/** @throws LlqError `usage` for a file that would take the place of an input */
export function refuseInput(path: string, inputs: readonly string[]): void {
  if (!existsSync(path) || !inputs.some((input) => isSameFile(input, path))) return;
  const hint = "choose another name: inputs are never overwritten";
  throw new LlqError("usage", `${path}: is an input too`, { hint });
}

/**
 * Refuses, before any work, an output that exists, is one of the inputs, or cannot fit the disk.
 * @throws LlqError `usage`, `no-space`
 */
export function checkOutput(
  output: string,
  byteLength: number,
  inputs: readonly string[],
  force: boolean,
): void {
  checkOutputs([output], byteLength, inputs, force);
}

/** The same for outputs in one folder, of `byteLength` bytes together. */
export function checkOutputs(
  outputs: readonly string[],
  byteLength: number,
  inputs: readonly string[],
  force: boolean,
): void {
  const first = outputs[0]!;
  const folder = dirname(first);
  if (!existsSync(folder)) {
    const message = `${first}: the folder ${folder} does not exist`;
    throw new LlqError("usage", message, { hint: `mkdir -p ${folder}` });
  }
  for (const output of outputs) checkPlace(output, inputs, force);
  const { bavail, bsize } = statfsSync(folder);
  const kept = outputs.map(partialPath).filter((path) => existsSync(path));
  const free = kept.reduce((sum, path) => sum + statSync(path).blocks * 512, bavail * bsize);
  if (free < byteLength) {
    const message = `${first}: needs ${byteLength} bytes, but ${realpathSync(folder)} has ${free} free`;
    throw new LlqError("no-space", message, { hint: "free some space or choose another output folder" });
  }
}

function checkPlace(output: string, inputs: readonly string[], force: boolean): void {
  for (const path of [output, partialPath(output), journalPath(output)]) {
    if (!existsSync(path)) continue;
    refuseInput(path, inputs);
    if (!statSync(path).isFile()) throw new LlqError("usage", `${path}: is not a regular file`);
  }
  if (existsSync(output) && !force) {
    throw new LlqError("usage", `${output}: exists already`, { hint: "--force replaces it" });
  }
}

function isSameFile(a: string, b: string): boolean {
  const [x, y] = [statSync(a, { throwIfNoEntry: false }), statSync(b)];
  return x !== undefined && x.ino === y.ino && x.dev === y.dev;
}

/** Opens the partial output at its full length; what it holds already stays. */
export function openPartial(partial: string, byteLength: number): number {
  try {
    const fd = openSync(partial, existsSync(partial) ? "r+" : "wx+");
    ftruncateSync(fd, byteLength);
    return fd;
  } catch (cause) {
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

/** Makes sure that all of it is on the disk. Closes `fd`. */
export function settle(fd: number, output: string, byteLength: number): void {
  try {
    fsyncSync(fd);
  } catch (cause) {
    throw writeError(output, cause);
  }
  const { size } = fstatSync(fd);
  if (size !== byteLength) {
    throw new LlqError("no-space", `${output}: ${byteLength} bytes were written, but the file has ${size}`);
  }
  closeSync(fd);
}

/** Gives a settled output its name. */
export function release(output: string): void {
  renameSync(partialPath(output), output);
  syncFolder(dirname(output));
}

/** Writes an output that is in memory. */
export function writeOutput(output: string, bytes: Uint8Array): void {
  const fd = openPartial(partialPath(output), bytes.length);
  try {
    writeFully({ fd, name: output, offset: 0 }, bytes);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  settle(fd, output, bytes.length);
  release(output);
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
    if (code === undefined || !["EPERM", "EISDIR", "EINVAL", "EACCES"].includes(code)) throw error;
  }
}
