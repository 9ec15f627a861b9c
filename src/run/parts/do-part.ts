import type { OutputOptions } from "../write/claim.js";
import { claimPart } from "./claim-part.js";
import type { Part } from "./part.js";
import { checkParts, type FoundRecord, type PartHead, recordPath } from "./record.js";

export interface PartSummary extends Part {
  readonly output: string;
  /** What finishing reads. */
  readonly record: string;
  /** Weights of this part, or what else it is made of. */
  readonly elements: number;
  /** Of them, what an earlier run had done. */
  readonly resumed: number;
  readonly seconds: number;
}

export interface RunOptions extends OutputOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` while the part is this run's alone, and all parts are of the same work.
 * @param describe what the work is; asked when the part is taken
 * @param work told the head of the part's record, and what an earlier run of it has left
 * @throws LlqError `usage` when another run has this part, or parts are of other work; `no-space`; and as `work` does
 */
export async function doPart(
  output: string,
  part: Part,
  options: RunOptions,
  describe: () => Omit<PartHead, keyof Part>,
  work: (
    head: PartHead,
    found: FoundRecord | undefined,
  ) => Promise<Pick<PartSummary, "elements" | "resumed">>,
): Promise<PartSummary> {
  const started = performance.now();
  const lock = await claimPart(output, part, options);
  try {
    const head = { ...part, ...describe() };
    const counts = await work(head, checkParts(output, head));
    const seconds = (performance.now() - started) / 1000;
    return { ...part, output, record: recordPath(output, part), ...counts, seconds };
  } finally {
    lock.release();
  }
}
