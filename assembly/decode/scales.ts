// Scales of eight rows, as they lie in lean weights.
import { from_f16 } from "../f16";
import { Mxfp4, Q2, Q3, Q6 } from "./quants";

/** The d of rows 0..3 at `p`, as f32. */
export function d_low<K>(p: usize): v128 {
  if (idof<K>() === idof<Mxfp4>()) return from_e8m0(i32x4.extend_low_i16x8_u(v128.load8x8_u(p)));
  return from_f16(i32x4.extend_low_i16x8_u(v128.load(p)));
}

/** Those of rows 4..7. */
export function d_high<K>(p: usize): v128 {
  if (idof<K>() === idof<Mxfp4>()) return from_e8m0(i32x4.extend_high_i16x8_u(v128.load8x8_u(p)));
  return from_f16(i32x4.extend_high_i16x8_u(v128.load(p)));
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
