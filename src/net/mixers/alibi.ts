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
