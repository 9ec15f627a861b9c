// The two relaxed dot products behind one face, for quants as bytes: 4 columns of four rows times 4 of one token.
// DOT is a constant of the build, one module each (asconfig.json):
//   16  i16x8.relaxed_dot_i8x16_i7x16_s: a row's sums are two i16, of columns 0 and 1 and of columns 2 and 3
//   32  i32x4.relaxed_dot_i8x16_i7x16_add_s: a row's sum is one i32
//   0   neither, and no quants as bytes
// In the first a sum of half the columns that share a scale must fit 16 bits: |q - zero| * 127 * 8 (of 16 columns), or
// * 16 (of 32), at most 32767. What comes before the end may exceed it, as additions wrap around.

/**
 * What to begin with, so that `zero` units count as 0: `sums` are those of the token's columns to come, as two i16,
 * times minus the unit. In the first module, whose quants are small, they begin with one unit always: what has no zero gets it back.
 */
export function begin(sums: v128, zero: i32): v128 {
  return DOT === 32 ? i32x4.dot_i16x8_s(sums, i16x8.splat(<i16>zero)) : sums;
}

export function dot_add(sum: v128, w: v128, x: v128): v128 {
  if (DOT === 32) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, sum);
  return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(x, w));
}

const ONES: usize = memory.data<u32>([0x00010001]);

/** What whole adds pairs with, for the caller to load before its loops: V8 makes constants anew at each use. */
export function pair_ones(): v128 {
  return v128.load32_splat(ONES);
}

/** The sum of each row. */
export function whole(sum: v128, ones: v128): v128 {
  return DOT === 32 ? sum : i32x4.dot_i16x8_s(sum, ones);
}

/** What a row's sum is given back of what it began with. Tags for generic functions. */
export class Nothing {}
export class Beginning {}

/** What the token's sums began with, whose beginning is at `begun`, where they are given it back. */
export function given<Z>(begun: usize, ones: v128): v128 {
  return idof<Z>() === idof<Beginning>() ? whole(v128.load32_splat(begun), ones) : ones;
}

/** Rows' sums with that: of quants up to 31 i16 have room for the sum less a unit only (Q5_1). */
export function back<Z>(sum: v128, begun: v128): v128 {
  return idof<Z>() === idof<Beginning>() ? i32x4.sub(sum, begun) : sum;
}

/** The sum of each row times its scale, which `scale` holds twice as i16. */
export function scaled(sum: v128, scale: v128): v128 {
  return DOT === 32 ? i32x4.mul(sum, i32x4.shr_s(scale, 16)) : i32x4.dot_i16x8_s(sum, scale);
}
