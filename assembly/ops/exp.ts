// e^x of four floats, within 1 ulp: x = n ln 2 + r with |r| <= ln 2 / 2, e^r by a polynomial, times 2^n.
// Loops call it on two vectors at a time: its constants are most of its cost.

const LOG2_E: f32 = Mathf.LOG2E;
/** ln 2 in two parts; n times the first is exact. */
const LN_2_HIGH: f32 = 0.693359375;
const LN_2_LOW: f32 = -2.1219444e-4;
/** Between these 2^n is a normal float. */
const MIN: f32 = -87.3;
const MAX: f32 = 88.3;
/** 1.5 × 2^23: adding it rounds to a whole number, which is then in the low bits. */
const SHIFT: f32 = 12582912;
const SHIFT_BITS: i32 = 0x4b400000;

/** Below -87.3 it is 0, above 88.3 it stays at e^88.3; NaN stays NaN. */
export function exp_f32x4(x: v128): v128 {
  const clamped = f32x4.pmin(f32x4.pmax(x, f32x4.splat(MIN)), f32x4.splat(MAX));
  const shifted = f32x4.add(f32x4.mul(clamped, f32x4.splat(LOG2_E)), f32x4.splat(SHIFT));
  const n = f32x4.sub(shifted, f32x4.splat(SHIFT));
  let r = f32x4.sub(clamped, f32x4.mul(n, f32x4.splat(LN_2_HIGH)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(LN_2_LOW)));
  // (e^r - 1 - r) / r², minimax relative to e^r on the interval: 0.05 ulp before rounding.
  let p = f32x4.splat(1.381459878757596e-3);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.368716575205326e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.166838899254799e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.666652113199234e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.999999403953552e-1));
  p = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(r, r), p), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.sub(shifted, i32x4.splat(SHIFT_BITS - 127)), 23);
  return v128.andnot(f32x4.mul(p, power), f32x4.lt(x, f32x4.splat(MIN)));
}

/** e^x of one float, by the same arithmetic as the vectors. */
export function exp(x: f32): f32 {
  return f32x4.extract_lane(exp_f32x4(f32x4.splat(x)), 0);
}
