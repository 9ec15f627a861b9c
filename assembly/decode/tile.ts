// Eight rows of lean weights times four tokens: row.ts, for a panel of activations.
import { dot_add, pair_ones, whole } from "../gemm/tiles/dot";
import { add_scaled } from "../gemm/tiles/tile";
import {
  group_size,
  has_high_plane,
  high_mask,
  high_plane,
  low_bits0,
  low_bits1,
  low_mask,
  move_high,
  quants,
  span_size,
  Trits,
} from "./quants";
import { begin, begin_size, is_half, Of32, Of256 } from "./row";
import {
  d_high,
  d_low,
  half_bits,
  half_infinity,
  infinity,
  scales,
  scales_of_group,
  scales_of_span,
  two_112,
} from "./scales";

/** Adds `blocks` blocks of `w_size` bytes, times the four tokens at `x` (token.ts), to four times eight f32 at `y`. */
export function multiply_tile<K, L>(x: usize, w: usize, w_size: usize, y: usize, blocks: usize): void {
  let y00 = v128.load(y);
  let y01 = v128.load(y, 16);
  let y10 = v128.load(y, 32);
  let y11 = v128.load(y, 48);
  let y20 = v128.load(y, 64);
  let y21 = v128.load(y, 80);
  let y30 = v128.load(y, 96);
  let y31 = v128.load(y, 112);
  const mask = low_mask<K>();
  const mask2 = high_mask<K>();
  const ones = pair_ones();
  for (; blocks > 0; blocks--, w += w_size) {
    let t00 = i32x4.splat(0);
    let t01 = i32x4.splat(0);
    let t10 = i32x4.splat(0);
    let t11 = i32x4.splat(0);
    let t20 = i32x4.splat(0);
    let t21 = i32x4.splat(0);
    let t30 = i32x4.splat(0);
    let t31 = i32x4.splat(0);
    let span = w;
    const spans_end = w + (idof<L>() === idof<Of32>() ? 1 : 8) * span_size<K>();
    let scale = spans_end;
    do {
      let s00 = begin<K, L>(x);
      let s01 = s00;
      let s10 = begin<K, L>(x + 4);
      let s11 = s10;
      let s20 = begin<K, L>(x + 8);
      let s21 = s20;
      let s30 = begin<K, L>(x + 12);
      let s31 = s30;
      if (!is_half<K, L>()) x += begin_size<K, L>(16);
      for (let shift = 0, p = span; shift < 8; shift += 4, p += group_size<K>()) {
        if (is_half<K, L>()) {
          s00 = begin<K, L>(x);
          s10 = begin<K, L>(x + 4);
          s20 = begin<K, L>(x + 8);
          s30 = begin<K, L>(x + 12);
          s01 = s00;
          s11 = s10;
          s21 = s20;
          s31 = s30;
          x += begin_size<K, L>(16);
        }
        let high0 = s00;
        let high1 = s01;
        if (has_high_plane<K>()) {
          const high = high_plane<K>(p, span);
          high0 = move_high<K>(v128.load(high), shift);
          high1 = move_high<K>(v128.load(high, 16), shift);
        }
        const low00 = low_bits0<K>(p, 0, high0);
        const low01 = low_bits1<K>(p, 0, high1);
        const q00 = quants<K>(low00, high0, 0, mask, mask2);
        const q01 = quants<K>(low01, high1, 0, mask, mask2);
        const x00 = v128.load32_splat(x);
        s00 = dot_add(s00, q00, x00);
        s01 = dot_add(s01, q01, x00);
        const x01 = v128.load32_splat(x, 4);
        s10 = dot_add(s10, q00, x01);
        s11 = dot_add(s11, q01, x01);
        const x02 = v128.load32_splat(x, 8);
        s20 = dot_add(s20, q00, x02);
        s21 = dot_add(s21, q01, x02);
        const x03 = v128.load32_splat(x, 12);
        s30 = dot_add(s30, q00, x03);
        s31 = dot_add(s31, q01, x03);
        const low10 = low_bits0<K>(p, 1, low00);
        const low11 = low_bits1<K>(p, 1, low01);
        const q10 = quants<K>(low10, high0, 1, mask, mask2);
        const q11 = quants<K>(low11, high1, 1, mask, mask2);
        const x10 = v128.load32_splat(x, 16);
        s00 = dot_add(s00, q10, x10);
        s01 = dot_add(s01, q11, x10);
        const x11 = v128.load32_splat(x, 20);
        s10 = dot_add(s10, q10, x11);
        s11 = dot_add(s11, q11, x11);
        const x12 = v128.load32_splat(x, 24);
        s20 = dot_add(s20, q10, x12);
        s21 = dot_add(s21, q11, x12);
        const x13 = v128.load32_splat(x, 28);
        s30 = dot_add(s30, q10, x13);
        s31 = dot_add(s31, q11, x13);
        const low20 = low_bits0<K>(p, 2, low10);
        const low21 = low_bits1<K>(p, 2, low11);
        const q20 = quants<K>(low20, high0, 2, mask, mask2);
        const q21 = quants<K>(low21, high1, 2, mask, mask2);
        const x20 = v128.load32_splat(x, 32);
        s00 = dot_add(s00, q20, x20);
        s01 = dot_add(s01, q21, x20);
        const x21 = v128.load32_splat(x, 36);
        s10 = dot_add(s10, q20, x21);
        s11 = dot_add(s11, q21, x21);
        const x22 = v128.load32_splat(x, 40);
        s20 = dot_add(s20, q20, x22);
        s21 = dot_add(s21, q21, x22);
        const x23 = v128.load32_splat(x, 44);
        s30 = dot_add(s30, q20, x23);
        s31 = dot_add(s31, q21, x23);
        const low30 = low_bits0<K>(p, 3, low20);
        const low31 = low_bits1<K>(p, 3, low21);
        const q30 = quants<K>(low30, high0, 3, mask, mask2);
        const q31 = quants<K>(low31, high1, 3, mask, mask2);
        const x30 = v128.load32_splat(x, 48);
        s00 = dot_add(s00, q30, x30);
        s01 = dot_add(s01, q31, x30);
        const x31 = v128.load32_splat(x, 52);
        s10 = dot_add(s10, q30, x31);
        s11 = dot_add(s11, q31, x31);
        const x32 = v128.load32_splat(x, 56);
        s20 = dot_add(s20, q30, x32);
        s21 = dot_add(s21, q31, x32);
        const x33 = v128.load32_splat(x, 60);
        s30 = dot_add(s30, q30, x33);
        s31 = dot_add(s31, q31, x33);
        x += 64;
        if (!is_half<K, L>()) continue;
        const eight = scales<K>(scale, shift);
        const scale0 = i32x4.extend_low_i16x8_s(eight);
        const scale1 = i32x4.extend_high_i16x8_s(eight);
        t00 = i32x4.add(t00, i32x4.mul(whole(s00, ones), scale0));
        t01 = i32x4.add(t01, i32x4.mul(whole(s01, ones), scale1));
        t10 = i32x4.add(t10, i32x4.mul(whole(s10, ones), scale0));
        t11 = i32x4.add(t11, i32x4.mul(whole(s11, ones), scale1));
        t20 = i32x4.add(t20, i32x4.mul(whole(s20, ones), scale0));
        t21 = i32x4.add(t21, i32x4.mul(whole(s21, ones), scale1));
        t30 = i32x4.add(t30, i32x4.mul(whole(s30, ones), scale0));
        t31 = i32x4.add(t31, i32x4.mul(whole(s31, ones), scale1));
        scale += scales_of_group<K>();
      }
      if (idof<L>() === idof<Of32>() || idof<K>() === idof<Trits>()) {
        t00 = i32x4.add(t00, whole(s00, ones));
        t01 = i32x4.add(t01, whole(s01, ones));
        t10 = i32x4.add(t10, whole(s10, ones));
        t11 = i32x4.add(t11, whole(s11, ones));
        t20 = i32x4.add(t20, whole(s20, ones));
        t21 = i32x4.add(t21, whole(s21, ones));
        t30 = i32x4.add(t30, whole(s30, ones));
        t31 = i32x4.add(t31, whole(s31, ones));
      } else {
        if (!is_half<K, L>()) {
          const eight = scales<K>(scale, 0);
          const scale0 = i32x4.extend_low_i16x8_s(eight);
          const scale1 = i32x4.extend_high_i16x8_s(eight);
          t00 = i32x4.add(t00, i32x4.mul(whole(s00, ones), scale0));
          t01 = i32x4.add(t01, i32x4.mul(whole(s01, ones), scale1));
          t10 = i32x4.add(t10, i32x4.mul(whole(s10, ones), scale0));
          t11 = i32x4.add(t11, i32x4.mul(whole(s11, ones), scale1));
          t20 = i32x4.add(t20, i32x4.mul(whole(s20, ones), scale0));
          t21 = i32x4.add(t21, i32x4.mul(whole(s21, ones), scale1));
          t30 = i32x4.add(t30, i32x4.mul(whole(s30, ones), scale0));
          t31 = i32x4.add(t31, i32x4.mul(whole(s31, ones), scale1));
        }
        scale += scales_of_span<K>();
      }
      span += span_size<K>();
    } while (idof<L>() === idof<Of256>() && span < spans_end);
    const d0 = d_low<K>(scale, half_bits(), half_infinity(), two_112(), infinity());
    const d1 = d_high<K>(scale, half_bits(), half_infinity(), two_112(), infinity());
    const dx0 = v128.load32_splat(x);
    y00 = add_scaled(y00, t00, d0, dx0);
    y01 = add_scaled(y01, t01, d1, dx0);
    const dx1 = v128.load32_splat(x, 4);
    y10 = add_scaled(y10, t10, d0, dx1);
    y11 = add_scaled(y11, t11, d1, dx1);
    const dx2 = v128.load32_splat(x, 8);
    y20 = add_scaled(y20, t20, d0, dx2);
    y21 = add_scaled(y21, t21, d1, dx2);
    const dx3 = v128.load32_splat(x, 12);
    y30 = add_scaled(y30, t30, d0, dx3);
    y31 = add_scaled(y31, t31, d1, dx3);
    x += 16;
  }
  v128.store(y, y00);
  v128.store(y, y01, 16);
  v128.store(y, y10, 32);
  v128.store(y, y11, 48);
  v128.store(y, y20, 64);
  v128.store(y, y21, 80);
  v128.store(y, y30, 96);
  v128.store(y, y31, 112);
}
