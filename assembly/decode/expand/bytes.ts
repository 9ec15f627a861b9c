// Blocks of lean weights to the blocks of ../gemm that have quants as bytes.
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

/** Quants plus `shift`. Their scales follow those of 32 columns, or of 16 (`is_half`). */
export function expand_bytes<K, L>(
  w: usize,
  w_size: usize,
  shift: i32,
  is_half: bool,
  dst: usize,
  blocks: usize,
): void {
  const shifts = i8x16.splat(<i8>shift);
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
        let high0 = shifts;
        let high1 = shifts;
        if (has_high_plane<K>()) {
          const high = high_plane<K>(p, span);
          high0 = move_high<K>(v128.load(high), half);
          high1 = move_high<K>(v128.load(high, 16), half);
        }
        const low00 = low_bits0<K>(p, 0, high0);
        const low01 = low_bits1<K>(p, 0, high1);
        v128.store(dst, i8x16.add(quants<K>(low00, high0, 0, mask, mask2), shifts));
        v128.store(dst, i8x16.add(quants<K>(low01, high1, 0, mask, mask2), shifts), 16);
        const low10 = low_bits0<K>(p, 1, low00);
        const low11 = low_bits1<K>(p, 1, low01);
        v128.store(dst, i8x16.add(quants<K>(low10, high0, 1, mask, mask2), shifts), 32);
        v128.store(dst, i8x16.add(quants<K>(low11, high1, 1, mask, mask2), shifts), 48);
        const low20 = low_bits0<K>(p, 2, low10);
        const low21 = low_bits1<K>(p, 2, low11);
        v128.store(dst, i8x16.add(quants<K>(low20, high0, 2, mask, mask2), shifts), 64);
        v128.store(dst, i8x16.add(quants<K>(low21, high1, 2, mask, mask2), shifts), 80);
        const low30 = low_bits0<K>(p, 3, low20);
        const low31 = low_bits1<K>(p, 3, low21);
        v128.store(dst, i8x16.add(quants<K>(low30, high0, 3, mask, mask2), shifts), 96);
        v128.store(dst, i8x16.add(quants<K>(low31, high1, 3, mask, mask2), shifts), 112);
        dst += 128;
        if (idof<L>() === idof<Of32>()) continue;
        if (is_half || half === 4) {
          const eight = scales_or_one<K>(scale, half);
          v128.store(dst, twice_low(eight));
          v128.store(dst, twice_high(eight), 16);
          dst += 32;
        }
        scale += scales_of_group<K>();
      }
      if (idof<L>() === idof<Of256>() && idof<K>() !== idof<Trits>()) scale += scales_of_span<K>();
    }
    v128.store(dst, d_low<K>(scale, c0, c1, c2, c3));
    v128.store(dst, d_high<K>(scale, c0, c1, c2, c3), 16);
    dst += 32;
  }
}

function scales_or_one<K>(p: usize, half: i32): v128 {
  return idof<K>() === idof<Trits>() ? i16x8.splat(1) : scales<K>(p, half);
}
