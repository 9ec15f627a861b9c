// Sixteen floats to bytes and back, the way every block of 32 stores its quants.

// In memory: V8 would make them anew where they are used.
const ROUND: usize = memory.data<f32>([12582912, 12582912, 12582912, 12582912], 16);
const SIGN: usize = memory.data<u32>([0x80000000, 0x80000000, 0x80000000, 0x80000000], 16);
const HALF: usize = memory.data<f32>([0.49999997, 0.49999997, 0.49999997, 0.49999997], 16);

/** Whole floats of magnitude below 2^22 as i32; shorter on x86 than the saturating conversion. */
export function whole_i32(v: v128): v128 {
  const round = v128.load(ROUND);
  return i32x4.sub(f32x4.add(v, round), round);
}

/** C's roundf (half away from zero) of four floats of magnitude below 2^22, as i32. */
function round_away(v: v128): v128 {
  // Just under one half: adding 0.5 itself would carry 0.49999997 up to 1.
  const half = v128.or(v128.and(v, v128.load(SIGN)), v128.load(HALF));
  return whole_i32(f32x4.trunc(f32x4.add(v, half)));
}

/** Sixteen floats at `x` times `id`, rounded half away from zero, as i8. */
export function to_i8(x: usize, id: v128): v128 {
  return narrow_i8(
    round_away(f32x4.mul(v128.load(x), id)),
    round_away(f32x4.mul(v128.load(x, 16), id)),
    round_away(f32x4.mul(v128.load(x, 32), id)),
    round_away(f32x4.mul(v128.load(x, 48), id)),
  );
}

/** Whole parts of four times four floats in 0..255, as u8. */
export function cut_u8(a: v128, b: v128, c: v128, d: v128): v128 {
  const low = i16x8.narrow_i32x4_s(whole_i32(f32x4.trunc(a)), whole_i32(f32x4.trunc(b)));
  const high = i16x8.narrow_i32x4_s(whole_i32(f32x4.trunc(c)), whole_i32(f32x4.trunc(d)));
  return i8x16.narrow_i16x8_u(low, high);
}

/** Four times four i32 to i8, cut to its range. */
export function narrow_i8(a: v128, b: v128, c: v128, d: v128): v128 {
  return i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
}

/** Four times four i32 to u8, cut to its range. */
export function narrow_u8(a: v128, b: v128, c: v128, d: v128): v128 {
  return i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
}

/** Bytes of `low` in 0..15 with those of `high` as upper halves. */
export function join_nibbles(low: v128, high: v128): v128 {
  return v128.or(low, i16x8.shl(high, 4));
}

/** 32 quants of five bits: u32 of the fifth bits, then the rest as nibbles; `low` is quants 0..15. */
export function store_u5(y: usize, low: v128, high: v128): void {
  const fifth = i8x16.bitmask(i16x8.shl(low, 3)) | (i8x16.bitmask(i16x8.shl(high, 3)) << 16);
  const nibble = i8x16.splat(15);
  store<u32>(y, fifth);
  v128.store(y, join_nibbles(v128.and(low, nibble), v128.and(high, nibble)), 4);
}

/** Quants 0..15 of what store_u5 wrote at `x`. */
export function load_low_u5(x: usize): v128 {
  return v128.or(v128.and(v128.load(x, 4), i8x16.splat(15)), fifth_bits(load<u16>(x)));
}

/** Quants 16..31 of what store_u5 wrote at `x`. */
export function load_high_u5(x: usize): v128 {
  return v128.or(i8x16.shr_u(v128.load(x, 4), 4), fifth_bits(load<u16>(x, 2)));
}

/** Byte j is 16 where bit j is set, else 0. */
function fifth_bits(bits: u32): v128 {
  return v128.and(spread_bits(bits), i8x16.splat(16));
}

/** Byte j is -1 where bit j of sixteen is set, else 0. */
export function spread_bits(bits: u32): v128 {
  const mask = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const v = i16x8.splat(<i16>bits);
  const spread = i8x16.shuffle(v, v, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  return i8x16.eq(v128.and(spread, mask), mask);
}

/**
 * Sixteen times two bits, lowest first, as bytes: the levels of 0..3 are bytes 0..3 of `levels`, those of 1..3 also
 * bytes 4, 8 and 12.
 */
export function two_bits(bits: u32, levels: v128): v128 {
  const v = i32x4.splat(bits);
  const spread = i8x16.shuffle(v, v, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  const low = v128.and(spread, i8x16(3, 12, 0, 0, 3, 12, 0, 0, 3, 12, 0, 0, 3, 12, 0, 0));
  const high = v128.and(i8x16.shr_u(spread, 4), i8x16(0, 0, 3, 12, 0, 0, 3, 12, 0, 0, 3, 12, 0, 0, 3, 12));
  return i8x16.swizzle(levels, v128.or(low, high));
}

/** Sixteen times four bits, lowest first, as bytes: those of `levels` that they number. */
export function four_bits(bits: u64, levels: v128): v128 {
  const v = i64x2.splat(bits);
  const low = v128.and(v, i8x16.splat(15));
  const high = i8x16.shr_u(v, 4);
  const index = i8x16.shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return i8x16.swizzle(levels, index);
}

/** Sixteen i8 times `d`, as floats at `y`. */
export function store_scaled(y: usize, q: v128, d: v128): void {
  const low = i16x8.extend_low_i8x16_s(q);
  const high = i16x8.extend_high_i8x16_s(q);
  v128.store(y, f32x4.mul(low_f32(low), d));
  v128.store(y, f32x4.mul(high_f32(low), d), 16);
  v128.store(y, f32x4.mul(low_f32(high), d), 32);
  v128.store(y, f32x4.mul(high_f32(high), d), 48);
}

/** Sixteen i8 times `d` plus `m`, as floats at `y`. */
export function store_scaled_plus(y: usize, q: v128, d: v128, m: v128): void {
  const low = i16x8.extend_low_i8x16_s(q);
  const high = i16x8.extend_high_i8x16_s(q);
  v128.store(y, f32x4.add(f32x4.mul(low_f32(low), d), m));
  v128.store(y, f32x4.add(f32x4.mul(high_f32(low), d), m), 16);
  v128.store(y, f32x4.add(f32x4.mul(low_f32(high), d), m), 32);
  v128.store(y, f32x4.add(f32x4.mul(high_f32(high), d), m), 48);
}

function low_f32(q: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(q));
}

function high_f32(q: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(q));
}

/** 2^(e - 128), the scale of MXFP4. */
export function scale_of(e: i32): f32 {
  return reinterpret<f32>(e < 2 ? 0x00200000 << e : (e - 1) << 23);
}
