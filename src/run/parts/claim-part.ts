import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { checkOutputs, nameOfOwner, type OutputOptions, partialPath } from "../write/claim.js";
import { type Lock, lockOfTheDead, tryLock } from "../write/lock.js";
import { nameOf, type Part } from "./part.js";
import { listRecords, recordPath } from "./record.js";

/**
 * Takes a part of an output for this run. One that was killed on another machine is waited for, if it may still be there.
 * @throws LlqError `usage` when another run has this part, or an output is in the way; `no-space`
 */
export async function claimPart(
  output: string,
  part: Part,
  options: OutputOptions & { readonly signal?: AbortSignal | undefined },
): Promise<Lock> {
  checkOutputs([output], options);
  refuseWriter(output);
  const lock = await lockOfTheDead(lockPath(output, part), options.signal);
  if ("release" in lock) return lock;
  const message = t`${output}: ${nameOf(part)} is being done by ${nameOfOwner(lock.owner)}`;
  throw new LlqError("usage", message, { hint: t`each task of an array needs a number of its own` });
}

/** A run that writes the whole output, or finishes it. */
function refuseWriter(output: string): void {
  const lock = tryLock(`${partialPath(output)}.lock`);
  if ("release" in lock) lock.release();
  else throw new LlqError("usage", t`${output}: is being written by ${nameOfOwner(lock.owner)}`);
}

/**
 * Takes all parts of an output.
 * @throws LlqError `usage` when one of them is still being done
 */
export function claimAllParts(output: string): Lock {
  const locks: Lock[] = [];
  const release = () => {
    for (const lock of locks.splice(0)) lock.release();
  };
  for (const { path: _, ...part } of listRecords(output)) {
    const lock = tryLock(lockPath(output, part));
    if ("release" in lock) {
      locks.push(lock);
      continue;
    }
    release();
    const message = t`${output}: ${nameOf(part)} is still being done by ${nameOfOwner(lock.owner)}`;
    throw new LlqError("usage", message, { hint: t`llq finish comes when all parts are done` });
  }
  return { release };
}

function lockPath(output: string, part: Part): string {
  return `${recordPath(output, part)}.lock`;
}
