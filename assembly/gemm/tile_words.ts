// A tile of the product, 4 tokens × 8 rows, in plain SIMD: quants as i16, pairs of columns multiplied and added by
// i32x4.dot_i16x8_s.
import { scale_add } from "./tile";

export function tile_words_32(x: usize, w: usize, y: usize, blocks: usize, _zero: i32): void {
  tile_words(x, w, y, blocks, 32);
}

export function tile_words_256(x: usize, w: usize, y: usize, blocks: usize, _zero: i32): void {
  tile_words(x, w, y, blocks, 256);
}

/** Adds `blocks` blocks of `length` columns to the tile at `y`. */
export function tile_words(x: usize, w: usize, y: usize, blocks: usize, length: usize): void {
  for (; blocks > 0; blocks--) {
    let s00 = i32x4.splat(0);
    let s01 = i32x4.splat(0);
    let s10 = i32x4.splat(0);
    let s11 = i32x4.splat(0);
    let s20 = i32x4.splat(0);
    let s21 = i32x4.splat(0);
    let s30 = i32x4.splat(0);
    let s31 = i32x4.splat(0);
    // One step to an iteration: with more, V8 loads all operands first and runs out of registers.
    for (const end = w + length * 16; w < end; w += 32, x += 16) {
      const w0 = v128.load(w);
      const w1 = v128.load(w, 16);
      const x0 = v128.load32_splat(x);
      const x1 = v128.load32_splat(x, 4);
      const x2 = v128.load32_splat(x, 8);
      const x3 = v128.load32_splat(x, 12);
      s00 = dot_add(s00, w0, x0);
      s01 = dot_add(s01, w1, x0);
      s10 = dot_add(s10, w0, x1);
      s11 = dot_add(s11, w1, x1);
      s20 = dot_add(s20, w0, x2);
      s21 = dot_add(s21, w1, x2);
      s30 = dot_add(s30, w0, x3);
      s31 = dot_add(s31, w1, x3);
    }
    const d0 = v128.load(w);
    const d1 = v128.load(w, 16);
    scale_add(y, s00, s01, d0, d1, v128.load32_splat(x));
    scale_add(y + 32, s10, s11, d0, d1, v128.load32_splat(x, 4));
    scale_add(y + 64, s20, s21, d0, d1, v128.load32_splat(x, 8));
    scale_add(y + 96, s30, s31, d0, d1, v128.load32_splat(x, 12));
    w += 32;
    x += 16;
  }
}

/** Two columns of four rows `w` times two of a token `x`, added to the rows' sums. */
function dot_add(sum: v128, w: v128, x: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(w, x));
}
