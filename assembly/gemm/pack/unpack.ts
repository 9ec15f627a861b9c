// What a block of any type is unpacked to, one row's before eight are packed side by side:
//   0: quants u8[256] or u8[32]   256: scales i16[16], of every 16 quants   288: mins i16[16], of every `min_length`
//   320: d f32   324: dmin f32
//   weight = d * scale * (q - zero) + dmin * min
// Blocks of 32 have one scale and one min, which are 1 and not written.

import { load_scales_mins, SCALES_MINS } from "../../blocks/k/superblock";
import { f16_to_f32 } from "../../numbers/f16";
import { IQ4_LEVELS } from "../../search/search_32";

export const SCALES: usize = 256;
export const MINS: usize = 288;
export const D: usize = 320;
export const DMIN: usize = 324;
export const UNPACKED_SIZE: usize = 336;

/** Unpacks the block at `src` to `dst`. */
export type Unpack = (src: usize, dst: usize) => void;

/**
 * The other way of gather_levels: from the sixteen bytes at `src`, `width` bits at a time from the bottom, to the
 * sixteen quants at `q`, `q` + stride and so on, where they become the bits from `place` up; those below are kept.
 */
export function spread_levels(src: usize, q: usize, stride: usize, place: i32, width: i32): void {
  const bytes = v128.load(src);
  const ones = (1 << width) - 1;
  const mask = i8x16.splat(<i8>ones);
  for (let shift = 0; shift < 8; shift += width, q += stride) {
    const bits = i16x8.shl(v128.and(i16x8.shr_u(bytes, shift), mask), place);
    v128.store(q, place === 0 ? bits : v128.or(v128.load(q), bits));
  }
}

/** Sixteen i8 as the scales of the block at `dst`. */
export function store_scales(dst: usize, scales: v128): void {
  v128.store(dst, i16x8.extend_low_i8x16_s(scales), SCALES);
  v128.store(dst, i16x8.extend_high_i8x16_s(scales), SCALES + 16);
}

/** Sixteen i8 as its mins. */
export function store_mins(dst: usize, mins: v128): void {
  v128.store(dst, i16x8.extend_low_i8x16_s(mins), MINS);
  v128.store(dst, i16x8.extend_high_i8x16_s(mins), MINS + 16);
}

/** 32 quants in 16 bytes at `src`, looked up among the levels, plus 128. */
export function unpack_iq4(src: usize, dst: usize): void {
  const levels = i8x16.add(v128.load(IQ4_LEVELS), i8x16.splat(-128));
  const q = v128.load(src);
  v128.store(dst, i8x16.swizzle(levels, v128.and(q, i8x16.splat(15))));
  v128.store(dst, i8x16.swizzle(levels, i8x16.shr_u(q, 4)), 16);
}

/** What Q4_K and Q5_K begin with: d, dmin, scales and mins of eight sub-blocks of 32. */
export function unpack_d_scales_mins(src: usize, dst: usize): void {
  store<f32>(dst, f16_to_f32(load<u16>(src)), D);
  store<f32>(dst, -f16_to_f32(load<u16>(src, 2)), DMIN);
  load_scales_mins(src + 4);
  const bytes = v128.load(SCALES_MINS);
  store_scales(dst, i8x16.shuffle(bytes, bytes, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7));
  store_mins(dst, i64x2.shuffle(bytes, bytes, 1, 1));
}
