// Which keys a query sees, and what becomes of its scores: bent, softmax, and the factor that its output is still to be
// multiplied by.

import { sum_f64x2 } from "../numbers/lanes";
import { softcap_f32x4 } from "../ops/activations";
import { exp, exp_f32x4 } from "../ops/exp";
import { hmax } from "../search/search";

/** The first key that a query at `position` sees. @param chunked whether windows begin at multiples of their length */
export function first_seen(position: i32, window: i32, chunked: i32): i32 {
  if (window === 0) return 0;
  return chunked !== 0 ? position - (position % window) : max(0, position - window + 1);
}

/** Scores s of keys j at `x` to cap tanh(scale s / cap) - slope (last - j); without a cap, scale s - …. */
export function bend_row(x: usize, n: i32, last: i32, scale: f32, cap: f32, slope: f32): void {
  let distance = f32x4.add(f32x4(0, 1, 2, 3), f32x4.splat(-(<f32>last)));
  for (const end = x + <usize>n * 4; x < end; x += 16) {
    let s = f32x4.mul(v128.load(x), f32x4.splat(scale));
    if (cap > 0) s = softcap_f32x4(s, cap);
    v128.store(x, f32x4.add(s, f32x4.mul(distance, f32x4.splat(slope))));
    distance = f32x4.add(distance, f32x4.splat(4));
  }
}

/**
 * Scores at `x` to e^(scale × (score - largest)) over [first, last], zero elsewhere; n is a multiple of 8.
 * Returns the factor that makes their sum 1.
 * @param sink a score that counts in the sum and as largest, but is of no key; -Infinity for none
 */
export function softmax_row(x: usize, n: i32, first: i32, last: i32, scale: f32, sink: f32): f32 {
  const end = x + <usize>n * 4;
  for (let i = 0; i < first; i++) store<f32>(x + ((<usize>i) << 2), -Infinity);
  for (let i = last + 1; i < n; i++) store<f32>(x + ((<usize>i) << 2), -Infinity);
  let lanes = f32x4.splat(sink);
  for (let p = x; p < end; p += 16) lanes = f32x4.pmax(lanes, v128.load(p));
  const largest = f32x4.splat(hmax(lanes));
  const factor = f32x4.splat(scale);
  let sums = f64x2.splat(0);
  if (sink > -Infinity)
    sums = f64x2.replace_lane(sums, 0, <f64>exp((sink - f32x4.extract_lane(largest, 0)) * scale));
  for (; x < end; x += 32) {
    const a = exp_f32x4(f32x4.mul(f32x4.sub(v128.load(x), largest), factor));
    const b = exp_f32x4(f32x4.mul(f32x4.sub(v128.load(x, 16), largest), factor));
    sums = f64x2.add(sums, f64x2.add(sum_f64x2(a), sum_f64x2(b)));
    v128.store(x, a);
    v128.store(x, b, 16);
  }
  return <f32>(1 / (f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1)));
}

/** y = x × factor */
export function scale_row(x: usize, y: usize, n: i32, factor: f32): void {
  for (const end = x + <usize>n * 4; x < end; x += 4, y += 4) store<f32>(y, load<f32>(x) * factor);
}
