// Eight rows of Q8_0 times eight tokens as words: tile.ts, where products of bytes are not exact for quants above 127. The scales
// are loaded before the loop: behind it V8 pairs nothing.
import { low_mask, Q8 } from "../quants";
import { BYTE } from "../row";
import { d_high, d_low, half_bits, half_infinity, infinity, two_112 } from "../scales";
import { add_scaled_floats } from "./tile";

/** Adds `blocks` blocks of `w_size` bytes, times the tokens at `x` and at `z`, four each, to eight times eight f32 at `y`. */
export function multiply_eight_words(
  x: usize,
  z: usize,
  w: usize,
  w_size: usize,
  y: usize,
  blocks: usize,
): void {
  const mask = low_mask<Q8>();
  const byte = v128.load32_splat(BYTE);
  for (; blocks > 0; blocks--) {
    let s00 = v128.load32_splat(x);
    let s01 = s00;
    let s10 = v128.load32_splat(x, 4);
    let s11 = s10;
    let s20 = v128.load32_splat(x, 8);
    let s21 = s20;
    let s30 = v128.load32_splat(x, 12);
    let s31 = s30;
    let s40 = v128.load32_splat(z);
    let s41 = s40;
    let s50 = v128.load32_splat(z, 4);
    let s51 = s50;
    let s60 = v128.load32_splat(z, 8);
    let s61 = s60;
    let s70 = v128.load32_splat(z, 12);
    let s71 = s70;
    x += 16;
    z += 16;
    const end = w + 256;
    const d0 = d_low<Q8>(end, half_bits(), half_infinity(), two_112(), infinity());
    const d1 = d_high<Q8>(end, half_bits(), half_infinity(), two_112(), infinity());
    for (let p = w; p < end; p += 32) {
      const q0 = v128.xor(v128.load(p), mask);
      const q1 = v128.xor(v128.load(p, 16), mask);
      const even0 = v128.and(q0, byte);
      const even1 = v128.and(q1, byte);
      const x0 = v128.load32_splat(x);
      s00 = i32x4.add(s00, i32x4.dot_i16x8_s(even0, x0));
      s01 = i32x4.add(s01, i32x4.dot_i16x8_s(even1, x0));
      const x1 = v128.load32_splat(x, 4);
      s10 = i32x4.add(s10, i32x4.dot_i16x8_s(even0, x1));
      s11 = i32x4.add(s11, i32x4.dot_i16x8_s(even1, x1));
      const x2 = v128.load32_splat(x, 8);
      s20 = i32x4.add(s20, i32x4.dot_i16x8_s(even0, x2));
      s21 = i32x4.add(s21, i32x4.dot_i16x8_s(even1, x2));
      const x3 = v128.load32_splat(x, 12);
      s30 = i32x4.add(s30, i32x4.dot_i16x8_s(even0, x3));
      s31 = i32x4.add(s31, i32x4.dot_i16x8_s(even1, x3));
      const x4 = v128.load32_splat(z);
      s40 = i32x4.add(s40, i32x4.dot_i16x8_s(even0, x4));
      s41 = i32x4.add(s41, i32x4.dot_i16x8_s(even1, x4));
      const x5 = v128.load32_splat(z, 4);
      s50 = i32x4.add(s50, i32x4.dot_i16x8_s(even0, x5));
      s51 = i32x4.add(s51, i32x4.dot_i16x8_s(even1, x5));
      const x6 = v128.load32_splat(z, 8);
      s60 = i32x4.add(s60, i32x4.dot_i16x8_s(even0, x6));
      s61 = i32x4.add(s61, i32x4.dot_i16x8_s(even1, x6));
      const x7 = v128.load32_splat(z, 12);
      s70 = i32x4.add(s70, i32x4.dot_i16x8_s(even0, x7));
      s71 = i32x4.add(s71, i32x4.dot_i16x8_s(even1, x7));
      x += 16;
      z += 16;
      const odd0 = i16x8.shr_u(q0, 8);
      const odd1 = i16x8.shr_u(q1, 8);
      const z0 = v128.load32_splat(x);
      s00 = i32x4.add(s00, i32x4.dot_i16x8_s(odd0, z0));
      s01 = i32x4.add(s01, i32x4.dot_i16x8_s(odd1, z0));
      const z1 = v128.load32_splat(x, 4);
      s10 = i32x4.add(s10, i32x4.dot_i16x8_s(odd0, z1));
      s11 = i32x4.add(s11, i32x4.dot_i16x8_s(odd1, z1));
      const z2 = v128.load32_splat(x, 8);
      s20 = i32x4.add(s20, i32x4.dot_i16x8_s(odd0, z2));
      s21 = i32x4.add(s21, i32x4.dot_i16x8_s(odd1, z2));
      const z3 = v128.load32_splat(x, 12);
      s30 = i32x4.add(s30, i32x4.dot_i16x8_s(odd0, z3));
      s31 = i32x4.add(s31, i32x4.dot_i16x8_s(odd1, z3));
      const z4 = v128.load32_splat(z);
      s40 = i32x4.add(s40, i32x4.dot_i16x8_s(odd0, z4));
      s41 = i32x4.add(s41, i32x4.dot_i16x8_s(odd1, z4));
      const z5 = v128.load32_splat(z, 4);
      s50 = i32x4.add(s50, i32x4.dot_i16x8_s(odd0, z5));
      s51 = i32x4.add(s51, i32x4.dot_i16x8_s(odd1, z5));
      const z6 = v128.load32_splat(z, 8);
      s60 = i32x4.add(s60, i32x4.dot_i16x8_s(odd0, z6));
      s61 = i32x4.add(s61, i32x4.dot_i16x8_s(odd1, z6));
      const z7 = v128.load32_splat(z, 12);
      s70 = i32x4.add(s70, i32x4.dot_i16x8_s(odd0, z7));
      s71 = i32x4.add(s71, i32x4.dot_i16x8_s(odd1, z7));
      x += 16;
      z += 16;
    }
    w += w_size;
    add_scaled_floats(y, s00, s01, d0, d1, v128.load32_splat(x));
    add_scaled_floats(y + 32, s10, s11, d0, d1, v128.load32_splat(x, 4));
    add_scaled_floats(y + 64, s20, s21, d0, d1, v128.load32_splat(x, 8));
    add_scaled_floats(y + 96, s30, s31, d0, d1, v128.load32_splat(x, 12));
    add_scaled_floats(y + 128, s40, s41, d0, d1, v128.load32_splat(z));
    add_scaled_floats(y + 160, s50, s51, d0, d1, v128.load32_splat(z, 4));
    add_scaled_floats(y + 192, s60, s61, d0, d1, v128.load32_splat(z, 8));
    add_scaled_floats(y + 224, s70, s71, d0, d1, v128.load32_splat(z, 12));
    x += 16;
    z += 16;
  }
}
