// How far a distribution over the vocabulary is from a base's, from both logits slab by slab; neither is stored
// whole. With b the base's logits, q the other's and m the greatest b so far, a token keeps
//   W = Σ e^(b - m)     D = Σ e^(b - m) (b - q)     so that     KLD = D / W - (m + ln W) + ln Σ e^q

import { max_row, sum_f64x2 } from "../numbers/lanes";
import { exp, exp_f32x4 } from "./exp";

/** Bytes of one token's running divergence: m f32, the target's b f32, W f64, D f64. */
export const DIVERGENCE_SIZE: i32 = 24;

/** Makes `tokens` divergences ready for the first logits. */
export function start_divergences(divergences: usize, tokens: i32): void {
  for (const end = divergences + <usize>tokens * DIVERGENCE_SIZE; divergences < end; ) {
    store<f32>(divergences, -Infinity);
    store<f32>(divergences, 0, 4);
    store<f64>(divergences, 0, 8);
    store<f64>(divergences, 0, 16);
    divergences += DIVERGENCE_SIZE;
  }
}

/**
 * Takes a slab of logits of both into each token's divergence: terms in f32, their sums in f64.
 * @param base [tokens] rows `base_stride` bytes apart, those of the vocabulary's `first` to `first + n`
 * @param logits the same of the other, rows `stride` bytes apart
 * @param targets [tokens] i32, the token whose base logit is wanted
 * @param floor base logits up to this one are left out of the sums
 */
export function add_divergences(
  divergences: usize,
  base: usize,
  base_stride: usize,
  logits: usize,
  stride: usize,
  targets: usize,
  tokens: i32,
  first: i32,
  n: i32,
  floor: f32,
): void {
  for (let token = 0; token < tokens; token++) {
    const target = load<i32>(targets) - first;
    if (target >= 0 && target < n) store<f32>(divergences, load<f32>(base + ((<usize>target) << 2)), 4);
    const before = load<f32>(divergences);
    const greatest = max_row(base, n, before);
    const kept = <f64>exp(before - greatest);
    store<f32>(divergences, greatest);
    store<f64>(divergences, load<f64>(divergences, 8) * kept, 8);
    store<f64>(divergences, load<f64>(divergences, 16) * kept, 16);
    add_terms(divergences, base, logits, n, greatest, floor);
    divergences += DIVERGENCE_SIZE;
    base += base_stride;
    logits += stride;
    targets += 4;
  }
}

function add_terms(divergence: usize, base: usize, logits: usize, n: i32, greatest: f32, floor: f32): void {
  const end = base + <usize>n * 4;
  const top = f32x4.splat(greatest);
  const lowest = f32x4.splat(floor);
  let weights = f64x2.splat(0);
  let products = f64x2.splat(0);
  for (; base + 16 <= end; base += 16, logits += 16) {
    const b = v128.load(base);
    const weight = v128.and(exp_f32x4(f32x4.sub(b, top)), f32x4.gt(b, lowest));
    weights = f64x2.add(weights, sum_f64x2(weight));
    products = f64x2.add(products, sum_f64x2(f32x4.mul(weight, f32x4.sub(b, v128.load(logits)))));
  }
  let weight = f64x2.extract_lane(weights, 0) + f64x2.extract_lane(weights, 1);
  let product = f64x2.extract_lane(products, 0) + f64x2.extract_lane(products, 1);
  for (; base < end; base += 4, logits += 4) {
    const b = load<f32>(base);
    if (b <= floor) continue;
    const e = exp(b - greatest);
    weight += <f64>e;
    product += <f64>(e * (b - load<f32>(logits)));
  }
  store<f64>(divergence, load<f64>(divergence, 8) + weight, 8);
  store<f64>(divergence, load<f64>(divergence, 16) + product, 16);
}

/** Bytes of one token's likeliest so far: its logit f32, its number i32. */
export const TOP_SIZE: i32 = 8;

/** Takes a slab of logits into each token's likeliest; of equal ones the first stays. */
export function add_tops(tops: usize, logits: usize, stride: usize, tokens: i32, first: i32, n: i32): void {
  for (let token = 0; token < tokens; token++, tops += TOP_SIZE, logits += stride) {
    const before = load<f32>(tops);
    const greatest = max_row(logits, n, before);
    if (greatest === before) continue;
    let i = 0;
    while (i < n && load<f32>(logits + ((<usize>i) << 2)) !== greatest) i++;
    store<f32>(tops, greatest);
    store<i32>(tops, first + i, 4);
  }
}

/** y = scale × x + minimum for `n` u16 at `x`: log-probabilities as llama-perplexity stores them. */
export function dequantize_log_probs(x: usize, y: usize, n: i32, scale: f32, minimum: f32): void {
  for (const end = x + <usize>n * 2; x < end; x += 2, y += 4) {
    store<f32>(y, scale * <f32>load<u16>(x) + minimum);
  }
}
