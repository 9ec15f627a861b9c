// Mins times the sums of one token, added to the eight floats at `y`: what add_mins of ../gemm/multiply.ts does.

import { add_scaled } from "../gemm/tiles/tile";
import { add8 } from "../gemm/wide_tiles";
import { Q2, Q4 } from "./quants";
import { d_high, d_low, half_bits, half_infinity, infinity, two_112 } from "./scales";
import { unit } from "./token";

/** Blocks of 32: `w` is the first block's m. */
export function add_mins_32<N>(x: usize, w: usize, w_size: usize, y: usize, blocks: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  for (; blocks > 0; blocks--, w += w_size, x += unit<N>()) {
    const s = v128.load32_splat(x);
    s0 = f32x4.add(s0, f32x4.mul(s, d_low<Q4>(w, c0, c1, c2, c3)));
    s1 = f32x4.add(s1, f32x4.mul(s, d_high<Q4>(w, c0, c1, c2, c3)));
  }
  add8(y, s0, s1);
}

/** Blocks of 256: `w` is the first block's mins. */
export function add_mins_256<K, N>(x: usize, w: usize, w_size: usize, y: usize, blocks: usize): void {
  let y0 = v128.load(y);
  let y1 = v128.load(y, 16);
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  for (; blocks > 0; blocks--, w += w_size) {
    let s0 = i32x4.splat(0);
    let s1 = i32x4.splat(0);
    let p = w;
    for (const end = w + 64; p < end; p += 16, x += unit<N>()) {
      const mins = v128.load(p);
      const sums = v128.load32_splat(x);
      const low = idof<K>() === idof<Q2>() ? v128.and(mins, i8x16.splat(15)) : mins;
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(low), sums));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(low), sums));
      if (idof<K>() !== idof<Q2>()) continue;
      const above = v128.load32_splat(x + 4 * unit<N>());
      const high = i8x16.shr_u(mins, 4);
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(high), above));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(high), above));
    }
    if (idof<K>() === idof<Q2>()) x += 4 * unit<N>();
    const dx = v128.load32_splat(x);
    x += unit<N>();
    y0 = add_scaled(y0, s0, f32x4.neg(d_low<K>(p, c0, c1, c2, c3)), dx);
    y1 = add_scaled(y1, s1, f32x4.neg(d_high<K>(p, c0, c1, c2, c3)), dx);
  }
  v128.store(y, y0);
  v128.store(y, y1, 16);
}
