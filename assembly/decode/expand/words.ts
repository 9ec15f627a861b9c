// Blocks of lean weights to the blocks of ../gemm that have quants as words.
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
} from "../quants";
import { Of32, Of256 } from "../row";
import {
  d_high,
  d_low,
  half_bits,
  half_infinity,
  infinity,
  scales,
  scales_of_group,
  scales_of_span,
  twice_high,
  twice_low,
  two_112,
} from "../scales";

/** Quants less `zero`, times their scales. */
export function expand_words<K, L>(w: usize, w_size: usize, zero: i32, dst: usize, blocks: usize): void {
  const zeros = i8x16.splat(<i8>zero);
  const mask = low_mask<K>();
  const mask2 = high_mask<K>();
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  for (; blocks > 0; blocks--, w += w_size) {
    const spans_end = w + (idof<L>() === idof<Of32>() ? 1 : 8) * span_size<K>();
    let scale = spans_end;
    for (let span = w; span < spans_end; span += span_size<K>()) {
      for (let half = 0, p = span; half < 8; half += 4, p += group_size<K>()) {
        let scale0 = i16x8.splat(1);
        let scale1 = i16x8.splat(1);
        if (idof<L>() === idof<Of256>() && idof<K>() !== idof<Trits>()) {
          const eight = scales<K>(scale, half);
          scale0 = twice_low(eight);
          scale1 = twice_high(eight);
          scale += scales_of_group<K>();
        }
        let high0 = zeros;
        let high1 = zeros;
        if (has_high_plane<K>()) {
          const high = high_plane<K>(p, span);
          high0 = move_high<K>(v128.load(high), half);
          high1 = move_high<K>(v128.load(high, 16), half);
        }
        const low00 = low_bits0<K>(p, 0, high0);
        const low01 = low_bits1<K>(p, 0, high1);
        store_words(i8x16.sub(quants<K>(low00, high0, 0, mask, mask2), zeros), scale0, dst);
        store_words(i8x16.sub(quants<K>(low01, high1, 0, mask, mask2), zeros), scale1, dst + 16);
        const low10 = low_bits0<K>(p, 1, low00);
        const low11 = low_bits1<K>(p, 1, low01);
        store_words(i8x16.sub(quants<K>(low10, high0, 1, mask, mask2), zeros), scale0, dst + 64);
        store_words(i8x16.sub(quants<K>(low11, high1, 1, mask, mask2), zeros), scale1, dst + 80);
        const low20 = low_bits0<K>(p, 2, low10);
        const low21 = low_bits1<K>(p, 2, low11);
        store_words(i8x16.sub(quants<K>(low20, high0, 2, mask, mask2), zeros), scale0, dst + 128);
        store_words(i8x16.sub(quants<K>(low21, high1, 2, mask, mask2), zeros), scale1, dst + 144);
        const low30 = low_bits0<K>(p, 3, low20);
        const low31 = low_bits1<K>(p, 3, low21);
        store_words(i8x16.sub(quants<K>(low30, high0, 3, mask, mask2), zeros), scale0, dst + 192);
        store_words(i8x16.sub(quants<K>(low31, high1, 3, mask, mask2), zeros), scale1, dst + 208);
        dst += 256;
      }
      if (idof<L>() === idof<Of256>() && idof<K>() !== idof<Trits>()) scale += scales_of_span<K>();
    }
    v128.store(dst, d_low<K>(scale, c0, c1, c2, c3));
    v128.store(dst, d_high<K>(scale, c0, c1, c2, c3), 16);
    dst += 32;
  }
}

/** 4 columns of four rows: columns 0 and 1 of all, and 32 bytes further columns 2 and 3. */
function store_words(q: v128, scale: v128, dst: usize): void {
  const a = i16x8.extend_low_i8x16_s(q);
  const b = i16x8.extend_high_i8x16_s(q);
  v128.store(dst, i16x8.mul(i32x4.shuffle(a, b, 0, 2, 4, 6), scale));
  v128.store(dst, i16x8.mul(i32x4.shuffle(a, b, 1, 3, 5, 7), scale), 32);
}
