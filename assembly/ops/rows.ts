// Checks and measures over rows of f32.
import { hmax } from "../search/search";

/** Index of the first of `n` floats at `x` that is infinite or NaN, or -1. */
export function first_nonfinite(x: usize, n: i32): i32 {
  const magnitude = i32x4.splat(0x7fffffff);
  let most = i32x4.splat(0);
  let most_b = i32x4.splat(0);
  const end = x + <usize>n * 4;
  const start = x;
  for (; x + 64 <= end; x += 64) {
    most = i32x4.max_s(most, v128.and(v128.load(x), magnitude));
    most_b = i32x4.max_s(most_b, v128.and(v128.load(x, 16), magnitude));
    most = i32x4.max_s(most, v128.and(v128.load(x, 32), magnitude));
    most_b = i32x4.max_s(most_b, v128.and(v128.load(x, 48), magnitude));
  }
  // Finite ones are below infinity as integers too: only where one is not is it looked for.
  if (v128.any_true(i32x4.ge_s(i32x4.max_s(most, most_b), i32x4.splat(0x7f800000)))) x = start;
  for (; x < end; x += 4) {
    if ((load<u32>(x) & 0x7f800000) === 0x7f800000) return <i32>((x - start) >> 2);
  }
  return -1;
}

/**
 * Adds what `n` floats at `y` differ from those at `x` to the sums at `out`:
 *   0: f64 Σ(x - y)²   8: f64 Σx²   16: f32 max |x - y|
 * Gives the first of them.
 */
export function error_stats(x: usize, y: usize, n: i32, out: usize): f64 {
  let largest = f32x4.splat(0);
  let error_sum = load<f64>(out);
  let total_sum = load<f64>(out, 8);
  const end = x + <usize>n * 4;
  // f32 sums over 256 weights, f64 beyond: exact enough, and fast. Two sums each, or one addition waits for another.
  while (x + 32 <= end) {
    const stop = min<usize>(x + 1024, end);
    let error = f32x4.splat(0);
    let error_b = f32x4.splat(0);
    let total = f32x4.splat(0);
    let total_b = f32x4.splat(0);
    for (; x + 32 <= stop; x += 32, y += 32) {
      const v = v128.load(x);
      const w = v128.load(x, 16);
      const d = f32x4.sub(v, v128.load(y));
      const e = f32x4.sub(w, v128.load(y, 16));
      error = f32x4.add(error, f32x4.mul(d, d));
      error_b = f32x4.add(error_b, f32x4.mul(e, e));
      total = f32x4.add(total, f32x4.mul(v, v));
      total_b = f32x4.add(total_b, f32x4.mul(w, w));
      largest = f32x4.pmax(largest, f32x4.pmax(f32x4.abs(d), f32x4.abs(e)));
    }
    error_sum += hsum(f32x4.add(error, error_b));
    total_sum += hsum(f32x4.add(total, total_b));
  }
  let worst = max(load<f32>(out, 16), hmax(largest));
  for (; x < end; x += 4, y += 4) {
    const v = load<f32>(x);
    const d = v - load<f32>(y);
    error_sum += <f64>(d * d);
    total_sum += <f64>(v * v);
    worst = max<f32>(worst, abs(d));
  }
  store<f64>(out, error_sum);
  store<f64>(out, total_sum, 8);
  store<f32>(out, worst, 16);
  return error_sum;
}

function hsum(v: v128): f64 {
  const low = <f64>f32x4.extract_lane(v, 0) + <f64>f32x4.extract_lane(v, 1);
  return low + (<f64>f32x4.extract_lane(v, 2) + <f64>f32x4.extract_lane(v, 3));
}
