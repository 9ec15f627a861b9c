// ../mins.ts for eight tokens, those at `x` and those at `z`, whose eight floats each lie one after the other at `y`: mins are
// taken apart once for all.

import { add8 } from "../../gemm/wide_tiles";
import { Q2, Q4 } from "../quants";
import { d_high, d_low, half_bits, half_infinity, infinity, two_112 } from "../scales";
import { add_scaled_floats } from "./tile";

/** Blocks of 32: `w` is the first block's m. */
export function add_mins_eight_32(
  x: usize,
  z: usize,
  w: usize,
  w_size: usize,
  y: usize,
  blocks: usize,
): void {
  let s00 = f32x4.splat(0);
  let s01 = f32x4.splat(0);
  let s10 = f32x4.splat(0);
  let s11 = f32x4.splat(0);
  let s20 = f32x4.splat(0);
  let s21 = f32x4.splat(0);
  let s30 = f32x4.splat(0);
  let s31 = f32x4.splat(0);
  let s40 = f32x4.splat(0);
  let s41 = f32x4.splat(0);
  let s50 = f32x4.splat(0);
  let s51 = f32x4.splat(0);
  let s60 = f32x4.splat(0);
  let s61 = f32x4.splat(0);
  let s70 = f32x4.splat(0);
  let s71 = f32x4.splat(0);
  for (; blocks > 0; blocks--, w += w_size, x += 16, z += 16) {
    const m0 = d_low<Q4>(w, half_bits(), half_infinity(), two_112(), infinity());
    const m1 = d_high<Q4>(w, half_bits(), half_infinity(), two_112(), infinity());
    const x0 = v128.load32_splat(x);
    s00 = f32x4.add(s00, f32x4.mul(x0, m0));
    s01 = f32x4.add(s01, f32x4.mul(x0, m1));
    const x1 = v128.load32_splat(x, 4);
    s10 = f32x4.add(s10, f32x4.mul(x1, m0));
    s11 = f32x4.add(s11, f32x4.mul(x1, m1));
    const x2 = v128.load32_splat(x, 8);
    s20 = f32x4.add(s20, f32x4.mul(x2, m0));
    s21 = f32x4.add(s21, f32x4.mul(x2, m1));
    const x3 = v128.load32_splat(x, 12);
    s30 = f32x4.add(s30, f32x4.mul(x3, m0));
    s31 = f32x4.add(s31, f32x4.mul(x3, m1));
    const x4 = v128.load32_splat(z);
    s40 = f32x4.add(s40, f32x4.mul(x4, m0));
    s41 = f32x4.add(s41, f32x4.mul(x4, m1));
    const x5 = v128.load32_splat(z, 4);
    s50 = f32x4.add(s50, f32x4.mul(x5, m0));
    s51 = f32x4.add(s51, f32x4.mul(x5, m1));
    const x6 = v128.load32_splat(z, 8);
    s60 = f32x4.add(s60, f32x4.mul(x6, m0));
    s61 = f32x4.add(s61, f32x4.mul(x6, m1));
    const x7 = v128.load32_splat(z, 12);
    s70 = f32x4.add(s70, f32x4.mul(x7, m0));
    s71 = f32x4.add(s71, f32x4.mul(x7, m1));
  }
  add8(y, s00, s01);
  add8(y + 32, s10, s11);
  add8(y + 64, s20, s21);
  add8(y + 96, s30, s31);
  add8(y + 128, s40, s41);
  add8(y + 160, s50, s51);
  add8(y + 192, s60, s61);
  add8(y + 224, s70, s71);
}

/** Blocks of 256: `w` is the first block's mins. */
export function add_mins_eight_256<K>(
  x: usize,
  z: usize,
  w: usize,
  w_size: usize,
  y: usize,
  blocks: usize,
): void {
  for (; blocks > 0; blocks--, w += w_size) {
    let s00 = i32x4.splat(0);
    let s01 = i32x4.splat(0);
    let s10 = i32x4.splat(0);
    let s11 = i32x4.splat(0);
    let s20 = i32x4.splat(0);
    let s21 = i32x4.splat(0);
    let s30 = i32x4.splat(0);
    let s31 = i32x4.splat(0);
    let s40 = i32x4.splat(0);
    let s41 = i32x4.splat(0);
    let s50 = i32x4.splat(0);
    let s51 = i32x4.splat(0);
    let s60 = i32x4.splat(0);
    let s61 = i32x4.splat(0);
    let s70 = i32x4.splat(0);
    let s71 = i32x4.splat(0);
    let p = w;
    for (const end = w + 64; p < end; p += 16, x += 16, z += 16) {
      const mins = v128.load(p);
      const low = idof<K>() === idof<Q2>() ? v128.and(mins, i8x16.splat(15)) : mins;
      const m0 = i16x8.extend_low_i8x16_u(low);
      const m1 = i16x8.extend_high_i8x16_u(low);
      const x0 = v128.load32_splat(x);
      s00 = i32x4.add(s00, i32x4.dot_i16x8_s(m0, x0));
      s01 = i32x4.add(s01, i32x4.dot_i16x8_s(m1, x0));
      const x1 = v128.load32_splat(x, 4);
      s10 = i32x4.add(s10, i32x4.dot_i16x8_s(m0, x1));
      s11 = i32x4.add(s11, i32x4.dot_i16x8_s(m1, x1));
      const x2 = v128.load32_splat(x, 8);
      s20 = i32x4.add(s20, i32x4.dot_i16x8_s(m0, x2));
      s21 = i32x4.add(s21, i32x4.dot_i16x8_s(m1, x2));
      const x3 = v128.load32_splat(x, 12);
      s30 = i32x4.add(s30, i32x4.dot_i16x8_s(m0, x3));
      s31 = i32x4.add(s31, i32x4.dot_i16x8_s(m1, x3));
      const x4 = v128.load32_splat(z);
      s40 = i32x4.add(s40, i32x4.dot_i16x8_s(m0, x4));
      s41 = i32x4.add(s41, i32x4.dot_i16x8_s(m1, x4));
      const x5 = v128.load32_splat(z, 4);
      s50 = i32x4.add(s50, i32x4.dot_i16x8_s(m0, x5));
      s51 = i32x4.add(s51, i32x4.dot_i16x8_s(m1, x5));
      const x6 = v128.load32_splat(z, 8);
      s60 = i32x4.add(s60, i32x4.dot_i16x8_s(m0, x6));
      s61 = i32x4.add(s61, i32x4.dot_i16x8_s(m1, x6));
      const x7 = v128.load32_splat(z, 12);
      s70 = i32x4.add(s70, i32x4.dot_i16x8_s(m0, x7));
      s71 = i32x4.add(s71, i32x4.dot_i16x8_s(m1, x7));
    }
    if (idof<K>() === idof<Q2>()) {
      for (p = w; p < w + 64; p += 16, x += 16, z += 16) {
        const high = i8x16.shr_u(v128.load(p), 4);
        const m0 = i16x8.extend_low_i8x16_u(high);
        const m1 = i16x8.extend_high_i8x16_u(high);
        const x0 = v128.load32_splat(x);
        s00 = i32x4.add(s00, i32x4.dot_i16x8_s(m0, x0));
        s01 = i32x4.add(s01, i32x4.dot_i16x8_s(m1, x0));
        const x1 = v128.load32_splat(x, 4);
        s10 = i32x4.add(s10, i32x4.dot_i16x8_s(m0, x1));
        s11 = i32x4.add(s11, i32x4.dot_i16x8_s(m1, x1));
        const x2 = v128.load32_splat(x, 8);
        s20 = i32x4.add(s20, i32x4.dot_i16x8_s(m0, x2));
        s21 = i32x4.add(s21, i32x4.dot_i16x8_s(m1, x2));
        const x3 = v128.load32_splat(x, 12);
        s30 = i32x4.add(s30, i32x4.dot_i16x8_s(m0, x3));
        s31 = i32x4.add(s31, i32x4.dot_i16x8_s(m1, x3));
        const x4 = v128.load32_splat(z);
        s40 = i32x4.add(s40, i32x4.dot_i16x8_s(m0, x4));
        s41 = i32x4.add(s41, i32x4.dot_i16x8_s(m1, x4));
        const x5 = v128.load32_splat(z, 4);
        s50 = i32x4.add(s50, i32x4.dot_i16x8_s(m0, x5));
        s51 = i32x4.add(s51, i32x4.dot_i16x8_s(m1, x5));
        const x6 = v128.load32_splat(z, 8);
        s60 = i32x4.add(s60, i32x4.dot_i16x8_s(m0, x6));
        s61 = i32x4.add(s61, i32x4.dot_i16x8_s(m1, x6));
        const x7 = v128.load32_splat(z, 12);
        s70 = i32x4.add(s70, i32x4.dot_i16x8_s(m0, x7));
        s71 = i32x4.add(s71, i32x4.dot_i16x8_s(m1, x7));
      }
    }
    const d0 = f32x4.neg(d_low<K>(p, half_bits(), half_infinity(), two_112(), infinity()));
    const d1 = f32x4.neg(d_high<K>(p, half_bits(), half_infinity(), two_112(), infinity()));
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
