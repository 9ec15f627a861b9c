import { availableMemory } from "#host/memory";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Streams } from "./capture/streams.js";
import type { Effort } from "./options.js";
import type { Stage, Step } from "./steps.js";

/** Bytes of second moments of experts that are there at once; the tokens are run through again for those of others. */
const MOMENT_BYTES = 2 ** 29;

/** Experts whose moments [columns][columns] are there at once. */
export function expertsAtOnce(experts: number, columns: number): number {
  return Math.max(1, Math.min(experts, Math.floor(MOMENT_BYTES / (columns * columns * 4))));
}

/** Bytes that a thread works in, about. */
const THREAD_BYTES = 96 << 20;

/** Bytes of shared memory that a calibration takes, and of its threads. */
export function calibrationMemory(
  streams: Pick<Streams, "groupTokens" | "width">,
  steps: readonly Step[],
  effort: Effort,
  threads: number,
): number {
  const isFull = effort !== "plain";
  const tokens = streams.groupTokens;
  const [ofExperts, others] = [true, false].map((isOf) =>
    steps.map(({ stages }) => stages.filter(({ experts }) => experts > 0 === isOf)),
  ) as [Stage[][], Stage[][]];
  const expertFloats = ofExperts.flat().map(({ columns: c, rowsOfToken, alike, experts }) => {
    return 2 * tokens * rowsOfToken * c + ((alike ? 1 : 0) + expertsAtOnce(experts, c)) * c * c;
  });
  const floats = others.map((stages) =>
    stages.map(({ columns: c, adds }) => {
      const missing = adds ? streams.width : c;
      return tokens * c + c * c + (isFull ? tokens * missing + missing * c : 0);
    }),
  );
  // With one stream all stages of a step are done together, each in the place of those of its number in other steps.
  const most = isFull
    ? Math.max(0, ...floats.flat())
    : Array.from({ length: Math.max(0, ...floats.map((step) => step.length)) }, (_, i) =>
        Math.max(...floats.map((step) => step[i] ?? 0)),
      ).reduce((sum, each) => sum + each, 0);
  const all = Math.max(0, ...expertFloats) + most;
  return 4 * (all + tokens * streams.width) + Math.max(1, threads) * THREAD_BYTES;
}

/**
 * Codes must not depend on the memory, so what does not fit is refused.
 * @throws LlqError `no-space` for a limit that is too low
 */
export function checkMemory(needed: number, limit = availableMemory()): void {
  if (needed <= limit) return;
  const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)}M`;
  throw new LlqError(
    "no-space",
    t`calibration needs ${mebibytes(needed)} of memory; ${mebibytes(limit)} are allowed`,
    {
      hint: t`--max-memory ${mebibytes(needed)}, or fewer --threads`,
    },
  );
}
