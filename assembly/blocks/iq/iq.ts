// What the IQ types share: weights come in groups of eight or four, each an entry of a codebook (iq_grids.ts), in
// IQ2 and IQ3 with a sign for every weight. Sixteen weights at a time become bytes, ready to be scaled.
import { four_bits, spread_bits, two_bits } from "../pack";

/** Entries `i` and `j` of a grid of IQ1 or IQ2, as their sixteen levels. */
export function eights(grid: usize, i: u32, j: u32, levels: v128): v128 {
  const first = <u32>load<u16>(grid + ((<usize>i) << 1));
  const second = <u32>load<u16>(grid + ((<usize>j) << 1));
  return two_bits(first | (second << 16), levels);
}

/** The levels of IQ2, for `eights`. */
export function iq2_levels(): v128 {
  return i8x16(8, 25, 43, 0, 25, 0, 0, 0, 43, 0, 0, 0, 0, 0, 0, 0);
}

/** The levels of IQ1 in eighths, for `eights`. */
export function iq1_levels(): v128 {
  return i8x16(-8, 0, 8, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0);
}

/** Four entries of a grid of IQ3: the bytes at `q` number them, bits 0..3 of `high` are their ninth bits. */
export function fours(grid: usize, q: usize, high: u32, levels: v128): v128 {
  let entries: u64 = 0;
  for (let j: u32 = 0; j < 4; j++) {
    const i = <u32>load<u8>(q + j) | (((high >> j) & 1) << 8);
    entries |= (<u64>load<u16>(grid + ((<usize>i) << 1))) << (j * 16);
  }
  return four_bits(entries, levels);
}

/** Sixteen bytes, negated where the bit of `signs` is set. */
export function negate(q: v128, signs: u32): v128 {
  const minus = spread_bits(signs);
  return i8x16.sub(v128.xor(q, minus), minus);
}

/** Four times seven bits of signs as four bytes: the eighth sign makes the number of minuses even. */
export function even_signs(bits: u32): u32 {
  const seven =
    (bits & 0x7f) | ((bits << 1) & 0x7f00) | ((bits << 2) & 0x7f0000) | ((bits << 3) & 0x7f000000);
  let parity = seven ^ (seven >> 4);
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | ((parity & 0x01010101) << 7);
}
