// Eight rows of lean weights times eight tokens: ../tile.ts, for two panels of activations. Where registers have 256 bits there are
// as many as the sums need; weights are taken apart once for all tokens, and nothing of them is written. What a block and a
// tile add up stays in memory: both halves of it are loaded before one is stored, as V8 pairs nothing across a store.
import { dot_add, pair_ones, scaled, whole } from "../../gemm/tiles/dot";
import { add_scaled } from "../../gemm/tiles/tile";
import {
  group_size,
  has_high_plane,
  high_mask,
  high_plane,
  low_mask,
  pair_high,
  pair_low,
  pair_plane,
  Q8,
  quants,
  span_size,
  Trits,
} from "../quants";
import { begin, begin_size, is_half, Of32, Of256 } from "../row";
import {
  d_high,
  d_low,
  half_bits,
  half_infinity,
  infinity,
  scales,
  scales_of_group,
  scales_of_span,
  twice,
  two_112,
} from "../scales";

/** Bytes of eight times eight sums. */
export const SUMS_SIZE: usize = 256;

/**
 * Adds `blocks` blocks of `w_size` bytes, times the tokens at `x` and at `z`, four each (token.ts), to eight times eight f32
 * at `y`. At `sums` there are SUMS_SIZE bytes to work in. The loop over two steps stays rolled and has no store in it: else
 * V8 loads all there is before it begins. Loads of four bytes have few offsets, as V8 adds each by an instruction of its own.
 */
export function multiply_eight<K, L>(
  x: usize,
  z: usize,
  w: usize,
  w_size: usize,
  y: usize,
  sums: usize,
  blocks: usize,
): void {
  const mask = low_mask<K>();
  const mask2 = high_mask<K>();
  for (; blocks > 0; blocks--, w += w_size) {
    let span = w;
    const spans_end = w + (idof<L>() === idof<Of32>() ? 1 : 8) * span_size<K>();
    let scale = spans_end;
    if (idof<L>() === idof<Of256>()) clear(sums);
    do {
      let shift = 0;
      let p = span;
      do {
        let s00 = begin<K, L>(x);
        let s01 = s00;
        let s10 = begin<K, L>(x + 4);
        let s11 = s10;
        let s20 = begin<K, L>(x + 8);
        let s21 = s20;
        let s30 = begin<K, L>(x + 12);
        let s31 = s30;
        let s40 = begin<K, L>(z);
        let s41 = s40;
        let s50 = begin<K, L>(z + 4);
        let s51 = s50;
        let s60 = begin<K, L>(z + 8);
        let s61 = s60;
        let s70 = begin<K, L>(z + 12);
        let s71 = s70;
        x += begin_size<K, L>(16);
        z += begin_size<K, L>(16);
        do {
          for (let half = 0; half < 4; half += 2) {
            const plane = pair_plane<K>(p, half);
            let high0 = s00;
            let high1 = s01;
            if (has_high_plane<K>()) {
              const high = high_plane<K>(p, span);
              high0 = pair_high<K>(v128.load(high), shift, half);
              high1 = pair_high<K>(v128.load(high, 16), shift, half);
            }
            const low00 = pair_low<K>(v128.load(plane), half);
            const low01 = pair_low<K>(v128.load(plane, 16), half);
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
            const x04 = v128.load32_splat(z);
            s40 = dot_add(s40, q00, x04);
            s41 = dot_add(s41, q01, x04);
            const x05 = v128.load32_splat(z, 4);
            s50 = dot_add(s50, q00, x05);
            s51 = dot_add(s51, q01, x05);
            const x06 = v128.load32_splat(z, 8);
            s60 = dot_add(s60, q00, x06);
            s61 = dot_add(s61, q01, x06);
            const x07 = v128.load32_splat(z, 12);
            s70 = dot_add(s70, q00, x07);
            s71 = dot_add(s71, q01, x07);
            x += 16;
            z += 16;
            const low10 = idof<K>() === idof<Q8>() ? v128.load(plane, 32) : low00;
            const low11 = idof<K>() === idof<Q8>() ? v128.load(plane, 48) : low01;
            const q10 = quants<K>(low10, high0, 1, mask, mask2);
            const q11 = quants<K>(low11, high1, 1, mask, mask2);
            const x10 = v128.load32_splat(x);
            s00 = dot_add(s00, q10, x10);
            s01 = dot_add(s01, q11, x10);
            const x11 = v128.load32_splat(x, 4);
            s10 = dot_add(s10, q10, x11);
            s11 = dot_add(s11, q11, x11);
            const x12 = v128.load32_splat(x, 8);
            s20 = dot_add(s20, q10, x12);
            s21 = dot_add(s21, q11, x12);
            const x13 = v128.load32_splat(x, 12);
            s30 = dot_add(s30, q10, x13);
            s31 = dot_add(s31, q11, x13);
            const x14 = v128.load32_splat(z);
            s40 = dot_add(s40, q10, x14);
            s41 = dot_add(s41, q11, x14);
            const x15 = v128.load32_splat(z, 4);
            s50 = dot_add(s50, q10, x15);
            s51 = dot_add(s51, q11, x15);
            const x16 = v128.load32_splat(z, 8);
            s60 = dot_add(s60, q10, x16);
            s61 = dot_add(s61, q11, x16);
            const x17 = v128.load32_splat(z, 12);
            s70 = dot_add(s70, q10, x17);
            s71 = dot_add(s71, q11, x17);
            x += 16;
            z += 16;
          }
          p += group_size<K>();
          shift += 4;
        } while (!is_half<K, L>() && shift < 8);
        if (idof<L>() === idof<Of32>()) {
          const ones = pair_ones();
          const d0 = d_low<K>(scale, half_bits(), half_infinity(), two_112(), infinity());
          const d1 = d_high<K>(scale, half_bits(), half_infinity(), two_112(), infinity());
          add_scaled_floats(y, whole(s00, ones), whole(s01, ones), d0, d1, v128.load32_splat(x));
          add_scaled_floats(y + 32, whole(s10, ones), whole(s11, ones), d0, d1, v128.load32_splat(x, 4));
          add_scaled_floats(y + 64, whole(s20, ones), whole(s21, ones), d0, d1, v128.load32_splat(x, 8));
          add_scaled_floats(y + 96, whole(s30, ones), whole(s31, ones), d0, d1, v128.load32_splat(x, 12));
          add_scaled_floats(y + 128, whole(s40, ones), whole(s41, ones), d0, d1, v128.load32_splat(z));
          add_scaled_floats(y + 160, whole(s50, ones), whole(s51, ones), d0, d1, v128.load32_splat(z, 4));
          add_scaled_floats(y + 192, whole(s60, ones), whole(s61, ones), d0, d1, v128.load32_splat(z, 8));
          add_scaled_floats(y + 224, whole(s70, ones), whole(s71, ones), d0, d1, v128.load32_splat(z, 12));
        } else {
          const eight = idof<K>() === idof<Trits>() ? i16x8.splat(1) : scales<K>(scale, shift - 4);
          const d0 = twice(i32x4.extend_low_i16x8_s(eight));
          const d1 = twice(i32x4.extend_high_i16x8_s(eight));
          const t00 = v128.load(sums);
          const t01 = v128.load(sums, 16);
          v128.store(sums, i32x4.add(t00, scaled(s00, d0)));
          v128.store(sums, i32x4.add(t01, scaled(s01, d1)), 16);
          const t10 = v128.load(sums, 32);
          const t11 = v128.load(sums, 48);
          v128.store(sums, i32x4.add(t10, scaled(s10, d0)), 32);
          v128.store(sums, i32x4.add(t11, scaled(s11, d1)), 48);
          const t20 = v128.load(sums, 64);
          const t21 = v128.load(sums, 80);
          v128.store(sums, i32x4.add(t20, scaled(s20, d0)), 64);
          v128.store(sums, i32x4.add(t21, scaled(s21, d1)), 80);
          const t30 = v128.load(sums, 96);
          const t31 = v128.load(sums, 112);
          v128.store(sums, i32x4.add(t30, scaled(s30, d0)), 96);
          v128.store(sums, i32x4.add(t31, scaled(s31, d1)), 112);
          const t40 = v128.load(sums, 128);
          const t41 = v128.load(sums, 144);
          v128.store(sums, i32x4.add(t40, scaled(s40, d0)), 128);
          v128.store(sums, i32x4.add(t41, scaled(s41, d1)), 144);
          const t50 = v128.load(sums, 160);
          const t51 = v128.load(sums, 176);
          v128.store(sums, i32x4.add(t50, scaled(s50, d0)), 160);
          v128.store(sums, i32x4.add(t51, scaled(s51, d1)), 176);
          const t60 = v128.load(sums, 192);
          const t61 = v128.load(sums, 208);
          v128.store(sums, i32x4.add(t60, scaled(s60, d0)), 192);
          v128.store(sums, i32x4.add(t61, scaled(s61, d1)), 208);
          const t70 = v128.load(sums, 224);
          const t71 = v128.load(sums, 240);
          v128.store(sums, i32x4.add(t70, scaled(s70, d0)), 224);
          v128.store(sums, i32x4.add(t71, scaled(s71, d1)), 240);
          if (is_half<K, L>()) scale += scales_of_group<K>();
        }
      } while (is_half<K, L>() && shift < 8);
      if (idof<L>() === idof<Of256>() && idof<K>() !== idof<Trits>()) scale += scales_of_span<K>();
      span += span_size<K>();
    } while (idof<L>() === idof<Of256>() && span < spans_end);
    if (idof<L>() === idof<Of256>()) {
      const d0 = d_low<K>(scale, half_bits(), half_infinity(), two_112(), infinity());
      const d1 = d_high<K>(scale, half_bits(), half_infinity(), two_112(), infinity());
      for (let t: usize = 0; t < SUMS_SIZE; t += 32) {
        const s0 = v128.load(sums + t);
        const s1 = v128.load(sums + t, 16);
        const dx = v128.load32_splat((t < SUMS_SIZE / 2 ? x : z) + ((t / 8) & 15));
        add_scaled_floats(y + t, s0, s1, d0, d1, dx);
      }
    }
    x += 16;
    z += 16;
  }
}

function clear(sums: usize): void {
  for (let t = sums; t < sums + SUMS_SIZE; t += 32) {
    v128.store(t, i32x4.splat(0));
    v128.store(t, i32x4.splat(0), 16);
  }
}

/** Adds the sums of four rows and of four more, times the scales of rows and of a token, to its floats at `y`. */
export function add_scaled_floats(y: usize, s0: v128, s1: v128, d0: v128, d1: v128, dx: v128): void {
  const y0 = v128.load(y);
  const y1 = v128.load(y, 16);
  v128.store(y, add_scaled(y0, s0, d0, dx));
  v128.store(y, add_scaled(y1, s1, d1, dx), 16);
}
