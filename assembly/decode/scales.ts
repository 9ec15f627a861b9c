// Scales of eight rows, as they lie in lean weights.
import { Mxfp4, Q2, Q3, Q6 } from "./quants";

const CONSTANTS: usize = memory.data<u32>([0x8fffe000, 0x0f800000, 0x77800000, 0x7f800000]);

/** What d_low and d_high want, for the caller to load before its loops. */
export function half_bits(): v128 {
  return v128.load32_splat(CONSTANTS);
}
export function half_infinity(): v128 {
  return v128.load32_splat(CONSTANTS, 4);
}
export function two_112(): v128 {
  return v128.load32_splat(CONSTANTS, 8);
}
export function infinity(): v128 {
  return v128.load32_splat(CONSTANTS, 12);
}

/** The d of rows 0..3 at `p`, as f32. */
export function d_low<K>(p: usize, c0: v128, c1: v128, c2: v128, c3: v128): v128 {
  if (idof<K>() === idof<Mxfp4>()) return from_e8m0(i32x4.extend_low_i16x8_u(v128.load8x8_u(p)));
  return from_half(i32x4.extend_low_i16x8_s(v128.load(p)), c0, c1, c2, c3);
}

/** Those of rows 4..7. */
export function d_high<K>(p: usize, c0: v128, c1: v128, c2: v128, c3: v128): v128 {
  if (idof<K>() === idof<Mxfp4>()) return from_e8m0(i32x4.extend_high_i16x8_u(v128.load8x8_u(p)));
  return from_half(i32x4.extend_high_i16x8_s(v128.load(p)), c0, c1, c2, c3);
}

/** f16 to f32 as ../f16.ts does it, of halves with their signs in the upper 16 bits. */
export function from_half(h: v128, bits: v128, half_infinity: v128, two_112: v128, infinity: v128): v128 {
  const magnitude = v128.and(i32x4.shl(h, 13), bits);
  const special = i32x4.eq(v128.and(magnitude, half_infinity), half_infinity);
  return v128.or(f32x4.mul(magnitude, two_112), v128.and(special, infinity));
}

/** 2^(e - 128). */
function from_e8m0(e: v128): v128 {
  const normal = i32x4.shl(i32x4.sub(e, i32x4.splat(1)), 23);
  const subnormal = i32x4.mul(i32x4.add(e, i32x4.splat(1)), i32x4.splat(0x00200000));
  return v128.bitselect(subnormal, normal, i32x4.lt_s(e, i32x4.splat(2)));
}

/** Eight scales of columns that share them, as i16: of the first half of 32 columns (`shift` 0) or the second (4). */
export function scales<K>(p: usize, shift: i32): v128 {
  const bytes = v128.load8x8_s(p);
  if (idof<K>() !== idof<Q2>()) return bytes;
  return v128.and(i16x8.shr_u(bytes, shift), i16x8.splat(15));
}

/** Bytes from the scales of a group of 16 columns to the next's. */
export function scales_of_group<K>(): usize {
  return idof<K>() === idof<Q3>() || idof<K>() === idof<Q6>() ? 8 : 0;
}

/** Bytes that 32 columns have beside those of their groups. */
export function scales_of_span<K>(): usize {
  return 8 - scales_of_group<K>();
}

/** Eight scales twice each, side by side: those of rows 0..3. */
export function twice_low(eight: v128): v128 {
  return i16x8.shuffle(eight, eight, 0, 0, 1, 1, 2, 2, 3, 3);
}

/** Those of rows 4..7. */
export function twice_high(eight: v128): v128 {
  return i16x8.shuffle(eight, eight, 4, 4, 5, 5, 6, 6, 7, 7);
}

/** Four scales as i32 to i16, each twice. */
export function twice(four: v128): v128 {
  return v128.or(i32x4.shl(four, 16), i32x4.shr_u(i32x4.shl(four, 16), 16));
}
