// e^x of four floats, within 1 ulp: x = n ln 2 + r with |r| <= ln 2 / 2, e^r by a polynomial, times 2^n.

const LOG2_E: f32 = Mathf.LOG2E;
/** ln 2 in two parts; n times the first is exact. */
const LN_2_HIGH: f32 = 0.693359375;
const LN_2_LOW: f32 = -2.1219444e-4;
/** Beyond these e^x is zero or infinite in f32. */
const MIN: f32 = -104.0;
const MAX: f32 = 89.0;

/** Underflows gradually to 0 and overflows to infinity, as expf does; NaN stays NaN. */
export function exp_f32x4(x: v128): v128 {
  const clamped = f32x4.pmin(f32x4.pmax(x, f32x4.splat(MIN)), f32x4.splat(MAX));
  const n = f32x4.nearest(f32x4.mul(clamped, f32x4.splat(LOG2_E)));
  let r = f32x4.sub(clamped, f32x4.mul(n, f32x4.splat(LN_2_HIGH)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(LN_2_LOW)));
  // (e^r - 1 - r) / r², minimax relative to e^r on the interval: 0.05 ulp before rounding.
  let p = f32x4.splat(1.381459878757596e-3);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.368716575205326e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.166838899254799e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.666652113199234e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.999999403953552e-1));
  p = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(r, r), p), r), f32x4.splat(1));
  // 2^n in two factors: one alone could not reach subnormals or 2^128.
  const exponent = i32x4.trunc_sat_f32x4_s(n);
  const half = i32x4.shr_s(exponent, 1);
  return f32x4.mul(f32x4.mul(p, power_of_2(half)), power_of_2(i32x4.sub(exponent, half)));
}

function power_of_2(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}
