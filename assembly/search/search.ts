// What scales are taken from: extremes of a block of 32 floats, and sums of squares.

/** Largest of four lanes. */
export function hmax(v: v128): f32 {
  const pairs = f32x4.pmax(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const all = f32x4.pmax(
    pairs,
    i8x16.shuffle(pairs, pairs, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11),
  );
  return f32x4.extract_lane(all, 0);
}

/** Largest of the 32 floats at `x`; among zeros of both signs the first, as in ggml. */
export function max32(x: usize): f32 {
  const max = highest32(x);
  return max !== 0 ? max : first_zero(x);
}

/** Smallest of the 32 floats at `x`; among zeros of both signs the first, as in ggml. */
export function min32(x: usize): f32 {
  const min = lowest32(x);
  return min !== 0 ? min : first_zero(x);
}

function first_zero(x: usize): f32 {
  while (load<f32>(x) !== 0) x += 4;
  return load<f32>(x);
}

/** Largest of the 32 floats at `x`, a zero of either sign. */
function highest32(x: usize): f32 {
  const a = f32x4.pmax(v128.load(x), v128.load(x, 16));
  const b = f32x4.pmax(v128.load(x, 32), v128.load(x, 48));
  const c = f32x4.pmax(v128.load(x, 64), v128.load(x, 80));
  const d = f32x4.pmax(v128.load(x, 96), v128.load(x, 112));
  return hmax(f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d)));
}

/** Smallest of the 32 floats at `x`, a zero of either sign. */
function lowest32(x: usize): f32 {
  const a = f32x4.pmin(v128.load(x), v128.load(x, 16));
  const b = f32x4.pmin(v128.load(x, 32), v128.load(x, 48));
  const c = f32x4.pmin(v128.load(x, 64), v128.load(x, 80));
  const d = f32x4.pmin(v128.load(x, 96), v128.load(x, 112));
  return -hmax(f32x4.neg(f32x4.pmin(f32x4.pmin(a, b), f32x4.pmin(c, d))));
}

/** Largest magnitude among the 32 floats at `x`. */
export function absmax32(x: usize): f32 {
  // Magnitudes are ordered as their bits are, and shifting a sign out costs less on x86 than masking it.
  const a = i32x4.max_u(shift_sign_out(x), shift_sign_out(x + 16));
  const b = i32x4.max_u(shift_sign_out(x + 32), shift_sign_out(x + 48));
  const c = i32x4.max_u(shift_sign_out(x + 64), shift_sign_out(x + 80));
  const d = i32x4.max_u(shift_sign_out(x + 96), shift_sign_out(x + 112));
  return hmax(i32x4.shr_u(i32x4.max_u(i32x4.max_u(a, b), i32x4.max_u(c, d)), 1));
}

/** Largest magnitude among the 256 floats at `x`. */
export function absmax256(x: usize): f32 {
  let amax: f32 = 0;
  for (const end = x + 1024; x < end; x += 128) amax = max(amax, absmax32(x));
  return amax;
}

function shift_sign_out(x: usize): v128 {
  return i32x4.shl(v128.load(x), 1);
}

/** The element of largest magnitude among the 32 floats at `x`; of equal magnitudes the first, as in ggml. */
export function signed_absmax32(x: usize): f32 {
  const highest = highest32(x);
  const lowest = lowest32(x);
  if (highest !== -lowest) return highest > -lowest ? highest : lowest;
  if (highest === 0) return 0;
  while (abs(load<f32>(x)) !== highest) x += 4;
  return load<f32>(x);
}

/** Sum of squares of `n` floats at `x`, one after the other as in ggml. */
export function sum_squares(x: usize, n: i32): f32 {
  let sum: f32 = 0;
  for (const end = x + <usize>n * 4; x < end; x += 4) sum += load<f32>(x) * load<f32>(x);
  return sum;
}
