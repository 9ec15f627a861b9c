// Checks and measures over rows of f32.

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
