// What several block formats share when they choose scales. Scalar orders of operations are ggml's: where a
// vector form is used, it gives the same bits.

/** Largest of four lanes. */
export function hmax(v: v128): f32 {
  const pairs = f32x4.pmax(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const all = f32x4.pmax(
    pairs,
    i8x16.shuffle(pairs, pairs, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11),
  );
  return f32x4.extract_lane(all, 0);
}

/** Largest magnitude among the 32 floats at `x`. */
export function absmax32(x: usize): f32 {
  const a = f32x4.pmax(f32x4.abs(v128.load(x)), f32x4.abs(v128.load(x, 16)));
  const b = f32x4.pmax(f32x4.abs(v128.load(x, 32)), f32x4.abs(v128.load(x, 48)));
  const c = f32x4.pmax(f32x4.abs(v128.load(x, 64)), f32x4.abs(v128.load(x, 80)));
  const d = f32x4.pmax(f32x4.abs(v128.load(x, 96)), f32x4.abs(v128.load(x, 112)));
  return hmax(f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d)));
}

/** The element of largest magnitude among the 32 floats at `x`; of equal magnitudes the first, as in ggml. */
export function signed_absmax32(x: usize): f32 {
  const magnitude = absmax32(x);
  if (magnitude === 0) return 0;
  const wanted = f32x4.splat(magnitude);
  let found = 0;
  for (; found === 0; x += 16) found = i32x4.bitmask(f32x4.eq(f32x4.abs(v128.load(x)), wanted));
  return load<f32>(x - 16 + ((<usize>ctz(found)) << 2));
}

/** C's roundf (half away from zero) of four floats of magnitude below 2^22, as i32. */
export function round_away(x: v128): v128 {
  // Just under one half: adding 0.5 itself would carry 0.49999997 up to 1.
  const half = v128.or(v128.and(x, i32x4.splat(<i32>0x80000000)), f32x4.splat(0.49999997));
  return i32x4.trunc_sat_f32x4_s(f32x4.add(x, half));
}
