// Checks and measures over rows of f32.
import { hmax } from "../search/search";

/** Index of the first of `n` floats at `x` that is infinite or NaN, or -1. */
export function first_nonfinite(x: usize, n: i32): i32 {
  const exponent = i32x4.splat(0x7f800000);
  const end = x + <usize>n * 4;
  const start = x;
  for (; x + 64 <= end; x += 64) {
    const a = i32x4.eq(v128.and(v128.load(x), exponent), exponent);
    const b = i32x4.eq(v128.and(v128.load(x, 16), exponent), exponent);
    const c = i32x4.eq(v128.and(v128.load(x, 32), exponent), exponent);
    const d = i32x4.eq(v128.and(v128.load(x, 48), exponent), exponent);
    if (v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) break;
  }
  for (; x < end; x += 4) {
    if ((load<u32>(x) & 0x7f800000) === 0x7f800000) return <i32>((x - start) >> 2);
  }
  return -1;
}

/**
 * Adds what `n` floats at `y` differ from those at `x` to the sums at `out`:
 *   0: f64 Σ(x - y)²   8: f64 Σx²   16: f32 max |x - y|
 */
export function error_stats(x: usize, y: usize, n: i32, out: usize): void {
  let error = f32x4.splat(0);
  let total = f32x4.splat(0);
  let largest = f32x4.splat(0);
  let error_sum = load<f64>(out);
  let total_sum = load<f64>(out, 8);
  const end = x + <usize>n * 4;
  // f32 sums over 256 weights, f64 beyond: exact enough, and fast.
  while (x + 16 <= end) {
    const stop = min<usize>(x + 1024, end);
    for (; x + 16 <= stop; x += 16, y += 16) {
      const v = v128.load(x);
      const d = f32x4.sub(v, v128.load(y));
      error = f32x4.add(error, f32x4.mul(d, d));
      total = f32x4.add(total, f32x4.mul(v, v));
      largest = f32x4.pmax(largest, f32x4.abs(d));
    }
    error_sum += hsum(error);
    total_sum += hsum(total);
    error = f32x4.splat(0);
    total = f32x4.splat(0);
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
}

function hsum(v: v128): f64 {
  const low = <f64>f32x4.extract_lane(v, 0) + <f64>f32x4.extract_lane(v, 1);
  return low + (<f64>f32x4.extract_lane(v, 2) + <f64>f32x4.extract_lane(v, 3));
}
