import { dirname, join, lstatSync, realpathSync, statfsSync, statSync } from "#host/files";
import { ownPid } from "#host/process";
import { LlqError, systemErrorCode } from "../../../formats/errors.js";
import { freeOutput, lookUp, refuseInput, reserveOutput } from "../../../formats/inputs.js";
import type { Stat } from "../../host/types.js";
import { t } from "../../language/t.js";
import { type Lock, type Owner, tryLock } from "./lock.js";

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
  if (outputs.includes("")) throw new LlqError("usage", t`an output has no name`);
  if (outputs.includes("-")) {
    const hint = t`name a file; ./- is one of that name`;
    throw new LlqError("usage", t`-: outputs are written in many places at once, which stdout cannot be`, {
      hint,
    });
  }
  const folder = dirname(first);
  if (!lookUp(folder)?.isDirectory()) {
    const message = t`${first}: the folder ${folder} does not exist`;
    throw new LlqError("usage", message, { hint: `mkdir -p ${folder}` });
  }
  for (const output of outputs) checkPlace(output, inputs, force);
  const { bavail, bsize } = statfsSync(folder);
  const kept = outputs.flatMap((output) => statSync(partialPath(output), { throwIfNoEntry: false }) ?? []);
  const free = kept.reduce((sum, { blocks }) => sum + blocks * 512, bavail * bsize);
  if (free < byteLength) {
    const message = t`${first}: needs ${byteLength} bytes, but ${realpathSync(folder)} has ${free} free`;
    throw new LlqError("no-space", message, { hint: t`free some space or choose another output folder` });
  }
}

function checkPlace(output: string, inputs: readonly string[], force: boolean): void {
  for (const path of [output, partialPath(output), journalPath(output)]) {
    refuseInput(path, inputs);
    const stat = placeOf(path);
    if (stat?.isSymbolicLink()) {
      const hint = t`name the file itself: a link is neither followed nor replaced`;
      throw new LlqError("usage", t`${path}: is a symbolic link`, { hint });
    }
    if (stat === undefined || stat.isFile()) continue;
    const hint = stat.isDirectory() ? t`name a file in it: ${join(path, "model.gguf")}` : undefined;
    throw new LlqError("usage", t`${path}: is not a regular file`, { hint });
  }
  if (!force) refuseExisting(output);
}

/** What has this name, a link itself. @throws LlqError `usage` for a name that nothing can have */
export function placeOf(path: string): Stat | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw new LlqError("usage", t`${path}: cannot be written (${systemErrorCode(cause) ?? cause})`, {
      cause,
    });
  }
}

export function refuseExisting(output: string): void {
  if (placeOf(output) === undefined) return;
  throw new LlqError("usage", t`${output}: exists already`, { hint: t`--force replaces it` });
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
  if (lock.owner?.pid === ownPid) throw new LlqError("usage", t`${output}: is to be written twice at once`);
  throw new LlqError("usage", t`${output}: is being written by ${nameOfOwner(lock.owner)}`, {
    hint: t`wait for it, or choose another name`,
  });
}

/** For people. */
export function nameOfOwner(owner: Owner | undefined): string {
  return owner === undefined
    ? t`another run`
    : t`process ${owner.pid} on ${owner.place.split(" ")[0]}, since ${owner.since}`;
}
