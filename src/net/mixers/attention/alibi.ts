import type { Work } from "../../work.js";
import type { AttentionPlan } from "./plan.js";

/**
 * How much the score of a key falls with each token it is further away, for each head. With a number of heads that
 * is no power of two, those beyond the largest such power take every other slope of twice as many heads
 * (arXiv:2108.12409; ggml's soft_max_ext).
 * @param maxBias 8 in all published models
 */
export function alibiSlopes(heads: number, maxBias: number): number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  return Array.from({ length: heads }, (_, head) =>
    head < power
      ? 2 ** ((-maxBias * (head + 1)) / power)
      : 2 ** ((-maxBias * (2 * (head - power) + 1)) / (2 * power)),
  );
}

/**
 * Where a number for each head is that its scores depend on, 0 where there are none: ALiBi's slopes, and sinks. The memory
 * is the caller's to give back.
 */
export function placeOfHeads(
  { kernels, weights }: Work,
  { heads, alibiMaxBias, sinks }: AttentionPlan,
): { readonly slopes: number; readonly sinks: number } {
  let slopes = 0;
  if (alibiMaxBias !== undefined) {
    slopes = kernels.reserve(heads * 4);
    kernels.floats(slopes, heads).set(alibiSlopes(heads, alibiMaxBias));
  }
  return { slopes, sinks: sinks === undefined ? 0 : weights.vector(kernels, sinks) };
}
