import { LlqError } from "../../formats/errors.js";
import { generateMemory, type MemoryOptions } from "../generate/memory.js";
import { t } from "../language/t.js";
import type { Model } from "../model.js";
import { teamBytes } from "../net/team/memory.js";

export interface BatchMemory extends Omit<MemoryOptions, "sequences"> {
  readonly maxMemory?: number | undefined;
}

/**
 * How many questions can be answered at once, beside the sequence that keeps what they begin with.
 * @throws LlqError `no-space` where the memory is not enough for one
 */
export function fitBatch(model: Model, { maxMemory, ...options }: BatchMemory, wanted: number): number {
  if (maxMemory === undefined) return wanted;
  const needed = (batch: number) => teamBytes(generateMemory(model, { ...options, sequences: batch + 1 })());
  for (let batch = wanted; batch > 1; batch = Math.ceil(batch / 2))
    if (needed(batch) <= maxMemory) return batch;
  const least = needed(1);
  if (least <= maxMemory) return 1;
  throw new LlqError(
    "no-space",
    t`one question at a time takes ${least} bytes, --max-memory allows ${maxMemory}`,
    {
      hint: t`a smaller --context, fewer --shots, --kv-type q8_0 or fewer --threads`,
    },
  );
}
