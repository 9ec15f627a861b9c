// A tile of the product, 4 tokens × 8 rows, in plain SIMD: quants as i16, pairs of columns multiplied and added by
// i32x4.dot_i16x8_s.
import { add_scaled } from "./tile";

export function tile_words_32(x: usize, w: usize, y: usize, stride: usize, blocks: usize): void {
  tile_words(x, w, y, stride, blocks, 32);
}

export function tile_words_256(x: usize, w: usize, y: usize, stride: usize, blocks: usize): void {
  tile_words(x, w, y, stride, blocks, 256);
}

/** Adds `blocks` blocks of `length` columns to the tile at `y`. */
export function tile_words(x: usize, w: usize, y: usize, stride: usize, blocks: usize, length: usize): void {
  let y00 = v128.load(y);
  let y01 = v128.load(y, 16);
  let y10 = v128.load(y + stride);
  let y11 = v128.load(y + stride, 16);
  let y20 = v128.load(y + 2 * stride);
  let y21 = v128.load(y + 2 * stride, 16);
  let y30 = v128.load(y + 3 * stride);
  let y31 = v128.load(y + 3 * stride, 16);
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
    const dx0 = v128.load32_splat(x);
    const dx1 = v128.load32_splat(x, 4);
    const dx2 = v128.load32_splat(x, 8);
    const dx3 = v128.load32_splat(x, 12);
    y00 = add_scaled(y00, s00, d0, dx0);
    y01 = add_scaled(y01, s01, d1, dx0);
    y10 = add_scaled(y10, s10, d0, dx1);
    y11 = add_scaled(y11, s11, d1, dx1);
    y20 = add_scaled(y20, s20, d0, dx2);
    y21 = add_scaled(y21, s21, d1, dx2);
    y30 = add_scaled(y30, s30, d0, dx3);
    y31 = add_scaled(y31, s31, d1, dx3);
    w += 32;
    x += 16;
  }
  v128.store(y, y00);
  v128.store(y, y01, 16);
  v128.store(y + stride, y10);
  v128.store(y + stride, y11, 16);
  v128.store(y + 2 * stride, y20);
  v128.store(y + 2 * stride, y21, 16);
  v128.store(y + 3 * stride, y30);
  v128.store(y + 3 * stride, y31, 16);
}

/** Two columns of four rows `w` times two of a token `x`, added to the rows' sums. */
function dot_add(sum: v128, w: v128, x: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(w, x));
}
