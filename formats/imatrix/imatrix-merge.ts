import { t } from "../../src/language/t.js";
import { badInput, type LlqError } from "../errors.js";
import type { ImatrixEntry, ImatrixSums } from "./imatrix.js";

/** An importance matrix, and what to call it when it does not fit the others. */
export interface ImatrixPart {
  readonly name: string;
  readonly imatrix: ImatrixSums;
}

interface Total {
  readonly sums: Float64Array;
  counts: Float64Array;
}

/**
 * Adds importance matrices of one model, as `llama-imatrix --in-file` does: as if the texts were one.
 * @param chunkSize tokens in a chunk of the result; also what .dat files, which do not say, are taken to have
 * @throws LlqError `bad-input` when an entry has other columns or experts than in the files before
 */
export function mergeImatrices(parts: readonly ImatrixPart[], chunkSize: number): ImatrixSums {
  const totals = new Map<string, Total>();
  for (const { name, imatrix } of parts) {
    const tokens = imatrix.chunkSize === undefined ? chunkSize : 1;
    for (const [entry, added] of imatrix.entries) {
      const total = totals.get(entry) ?? {
        sums: new Float64Array(added.sums.length),
        counts: new Float64Array(added.counts.length),
      };
      addEntry(t`${name}: entry ${entry}`, total, added, tokens);
      totals.set(entry, total);
    }
  }
  let largest = 0;
  for (const { counts } of totals.values()) for (const count of counts) largest = Math.max(largest, count);
  return {
    entries: totals,
    datasets: parts.flatMap(({ imatrix }) => imatrix.datasets),
    chunks: Math.floor(largest / chunkSize),
    chunkSize,
  };
}

/** `scale` turns what the entry counts into tokens. */
function addEntry(what: string, total: Total, { sums, counts }: ImatrixEntry, scale: number): void {
  if (sums.length !== total.sums.length) {
    throw mismatch(t`${what} has ${sums.length} sums, in the files before ${total.sums.length}`);
  }
  if (total.counts.length === 1) total.counts = new Float64Array(counts.length).fill(total.counts[0]!);
  if (counts.length !== 1 && counts.length !== total.counts.length) {
    throw mismatch(t`${what} has ${counts.length} counts, in the files before ${total.counts.length}`);
  }
  for (let i = 0; i < sums.length; i++) {
    total.sums[i]! += sums[i]! * scale;
    if (Math.fround(total.sums[i]!) === Number.POSITIVE_INFINITY)
      throw badInput(t`${what} is too large for f32`);
  }
  // One count stands for all experts.
  for (let i = 0; i < total.counts.length; i++) {
    total.counts[i]! += counts[counts.length === 1 ? 0 : i]! * scale;
  }
}

function mismatch(message: string): LlqError {
  return badInput(message, t`only importance matrices of one model can be added`);
}
