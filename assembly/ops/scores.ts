// The likelihood of the token that follows, from logits that arrive slab by slab and are never stored whole:
//   -log softmax(logits)[target] = largest + log(Σ e^(logit - largest)) - logit[target]
// Exponentials in f32 and their sum in f64, as llama-perplexity does it.

import { max_row, sum_f64x2 } from "../numbers/lanes";
import { exp, exp_f32x4 } from "./exp";

/** Bytes of one token's running score: largest logit f32, target's logit f32, Σ e^(logit - largest) f64. */
export const SCORE_SIZE: i32 = 16;

/** Makes `tokens` scores ready for the first logits. */
export function start_scores(scores: usize, tokens: i32): void {
  for (const end = scores + <usize>tokens * SCORE_SIZE; scores < end; scores += SCORE_SIZE) {
    store<f32>(scores, -Infinity);
    store<f32>(scores, 0, 4);
    store<f64>(scores, 0, 8);
  }
}

/**
 * Takes a slab of logits into each token's score: exponentials in f32, their sum in f64.
 * @param logits [tokens] rows `stride` bytes apart, those of the vocabulary's `first` to `first + n`
 * @param targets [tokens] i32, the token whose logit counts
 */
export function add_scores(
  scores: usize,
  logits: usize,
  stride: usize,
  targets: usize,
  tokens: i32,
  first: i32,
  n: i32,
): void {
  for (let token = 0; token < tokens; token++, scores += SCORE_SIZE, logits += stride, targets += 4) {
    const target = load<i32>(targets) - first;
    if (target >= 0 && target < n) store<f32>(scores, load<f32>(logits + ((<usize>target) << 2)), 4);
    const before = load<f32>(scores);
    const greatest = max_row(logits, n, before);
    const kept = load<f64>(scores, 8) * <f64>exp(before - greatest);
    store<f32>(scores, greatest);
    store<f64>(scores, kept + exp_sum(logits, n, greatest), 8);
  }
}

/** Σ e^(x - greatest) */
function exp_sum(x: usize, n: i32, greatest: f32): f64 {
  const end = x + <usize>n * 4;
  const top = f32x4.splat(greatest);
  let sums = f64x2.splat(0);
  for (; x + 32 <= end; x += 32) {
    const a = exp_f32x4(f32x4.sub(v128.load(x), top));
    const b = exp_f32x4(f32x4.sub(v128.load(x, 16), top));
    sums = f64x2.add(sums, f64x2.add(sum_f64x2(a), sum_f64x2(b)));
  }
  let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  for (; x < end; x += 4) sum += <f64>exp(load<f32>(x) - greatest);
  return sum;
}
