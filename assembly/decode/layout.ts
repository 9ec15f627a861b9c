// The types whose weights can be resident, by the numbers that callers know them by, and what each is made of.
import { Iq4, Q2, Q3, Q4, Q5, Q6, Q8, span_size } from "./quants";

export const Q4_0: i32 = 0;
export const Q4_1: i32 = 1;
export const Q5_0: i32 = 2;
export const Q5_1: i32 = 3;
export const Q8_0: i32 = 4;
export const IQ4_NL: i32 = 5;
export const MXFP4: i32 = 6;
export const Q2_K: i32 = 7;
export const Q3_K: i32 = 8;
export const Q4_K: i32 = 9;
export const Q5_K: i32 = 10;
export const Q6_K: i32 = 11;
export const IQ4_XS: i32 = 12;
/** TQ1_0 and TQ2_0. */
export const TERNARY: i32 = 13;

/** Columns in a block. */
export function lean_length(type: i32): usize {
  return type < Q2_K ? 32 : 256;
}

/** The quant or level that stands for 0. */
export function zero_of(type: i32): i32 {
  if (type === Q4_0) return 8;
  if (type === Q5_0 || type === MXFP4) return 16;
  if (type === Q8_0 || type === IQ4_NL || type === IQ4_XS) return 128;
  if (type === Q3_K) return 4;
  if (type === Q6_K) return 32;
  return type === TERNARY ? 1 : 0;
}

/** Columns that share a min; 0 for types without. */
export function min_length(type: i32): usize {
  if (type === Q2_K) return 16;
  return type === Q4_1 || type === Q5_1 || type === Q4_K || type === Q5_K ? 32 : 0;
}

/** Bytes of a block's quants, and of the scales that follow. */
export function quants_size(type: i32): usize {
  if (type === Q4_0 || type === Q4_1 || type === IQ4_NL || type === MXFP4) return span_size<Q4>();
  if (type === Q5_0 || type === Q5_1) return span_size<Q5>();
  if (type === Q8_0) return span_size<Q8>();
  if (type === Q2_K || type === TERNARY) return 8 * span_size<Q2>();
  if (type === Q3_K) return 8 * span_size<Q3>();
  if (type === Q5_K) return 8 * span_size<Q5>();
  if (type === Q6_K) return 8 * span_size<Q6>();
  return 8 * span_size<Iq4>();
}

export function scales_size(type: i32): usize {
  if (type < Q2_K || type === TERNARY) return 0;
  return type === Q3_K || type === Q6_K ? 128 : 64;
}

/** Bytes of the d of eight rows. */
export function d_size(type: i32): usize {
  return type === MXFP4 ? 8 : 16;
}

/** Bytes of a block of eight rows, without mins. */
export function lean_block_size(type: i32): usize {
  return quants_size(type) + scales_size(type) + d_size(type);
}

/** Bytes of its mins. */
export function lean_mins_size(type: i32): usize {
  if (min_length(type) === 0) return 0;
  return lean_length(type) === 32 ? 16 : 64 + 16;
}

/** Panels in a unit, the last of which may have fewer. */
export const UNIT: usize = 8;
/** Columns in a part of a unit, the last of which may have fewer. */
const PART: usize = 1024;

/** Blocks of a panel in a part. */
export function part_blocks(type: i32): usize {
  return PART / lean_length(type);
}

/** Where block `b` of panel `p` begins, that of the first in a part, in a unit of `panels` panels of `blocks` blocks. */
export function part_at(type: i32, p: usize, panels: usize, b: usize, blocks: usize): usize {
  return (b * panels + p * min(part_blocks(type), blocks - b)) * lean_block_size(type);
}

/** Where its mins begin. */
export function mins_at(type: i32, p: usize, panels: usize, blocks: usize): usize {
  return blocks * (panels * lean_block_size(type) + p * lean_mins_size(type));
}

/** Bytes of `rows` rows of `k` weights. */
export function lean_size(type: i32, rows: usize, k: usize): usize {
  return ((rows + 7) / 8) * (k / lean_length(type)) * (lean_block_size(type) + lean_mins_size(type));
}
