// Q5_K: 256 weights in 176 bytes, 8 sub-blocks of 32.
//   0: d f16   2: dmin f16   4: 12 bytes, eight 6-bit scales and eight 6-bit mins, see pack_scales_mins
//   16: 32 bytes qh   48: 128 bytes qs
//   byte 32 p + l of qs: low nibble = lower four bits of level 64 p + l, high nibble = those of level 64 p + 32 + l
//   byte l of qh: bit j = fifth bit of level 32 j + l
//   weight = d * scale * level - dmin * min
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { make_qkx2_quants } from "../../search/search_qkx2";
import { make_qp_quants } from "../../search/search_qp";
import { store_scaled_plus } from "../pack";
import {
  cut_scales_mins,
  gather_levels,
  LEVELS,
  MINS,
  pack_scales_mins,
  round_levels,
  round_scales,
  SCALES,
  SCALES_MINS,
  SUB_D,
  SUB_M,
  SUMS,
  search_levels,
  unpack_scales_mins,
} from "./superblock";
import { load_tiles, weigh_by_importance, weigh_by_magnitude } from "./tiles";

export const BLOCK_SIZE_Q5_K: i32 = 256;
export const TYPE_SIZE_Q5_K: i32 = 176;

export function quantize_row_q5_k(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 176) {
    load_tiles(x, 32);
    weigh_by_magnitude(32);
    make_qkx2_quants(32, 31, -0.5, 0.1, 15, false);
    store_searched(x, y);
  }
}

export function quantize_row_q5_k_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 176, w += 1024) {
    load_tiles(x, 32);
    weigh_by_importance(x, w, 32, 2);
    make_qkx2_quants(32, 31, -0.9, 0.05, 36, false);
    store_searched_weighted(x, y);
  }
}

/** A block for what the search found. */
export function store_searched(x: usize, y: usize): void {
  store<u16>(y, <u16>f32_to_f16(round_scales(SCALES, 8, 63, SCALES_MINS)));
  store<u16>(y + 2, <u16>f32_to_f16(round_scales(MINS, 8, 63, SCALES_MINS + 8)));
  cut_scales_mins();
  store_block(x, y);
}

/** The same where there is an importance matrix. */
export function store_searched_weighted(x: usize, y: usize): void {
  store<u16>(y, <u16>f32_to_f16(make_qp_quants(8, 63, SCALES, SUMS, SCALES_MINS)));
  store<u16>(y + 2, <u16>f32_to_f16(make_qp_quants(8, 63, MINS, SUMS, SCALES_MINS + 8)));
  cut_scales_mins();
  store_block(x, y);
}

/** The rest of a block, for the d and dmin it has and SCALES_MINS. */
function store_block(x: usize, y: usize): void {
  pack_scales_mins(y + 4);
  unpack_scales_mins(y + 4, f16_to_f32(load<u16>(y)), f16_to_f32(load<u16>(y + 2)));
  round_levels(x, 32, SUB_M, 0, 31);
  search_levels(x, 32, 0, 31);
  v128.store(y + 16, gather_levels(LEVELS, 32, 4, 1));
  v128.store(y + 32, gather_levels(LEVELS + 16, 32, 4, 1));
  for (let q = LEVELS, p = y + 48; q < LEVELS + 256; q += 64, p += 32) {
    v128.store(p, gather_levels(q, 32, 0, 4));
    v128.store(p, gather_levels(q + 16, 32, 0, 4), 16);
  }
}

export function dequantize_row_q5_k(x: usize, y: usize, n: i32): void {
  const low = i8x16.splat(15);
  for (const end = y + <usize>n * 4; y < end; x += 176) {
    unpack_scales_mins(x + 4, f16_to_f32(load<u16>(x)), f16_to_f32(load<u16>(x + 2)));
    let qh_a = v128.load(x + 16);
    let qh_b = v128.load(x + 32);
    for (let j: usize = 0, q = x + 48; j < 32; j += 8, q += 32, y += 256) {
      const a = v128.load(q);
      const b = v128.load(q, 16);
      restore(y, v128.and(a, low), qh_a, j);
      restore(y + 64, v128.and(b, low), qh_b, j);
      restore(y + 128, i8x16.shr_u(a, 4), i16x8.shr_u(qh_a, 1), j + 4);
      restore(y + 192, i8x16.shr_u(b, 4), i16x8.shr_u(qh_b, 1), j + 4);
      qh_a = i16x8.shr_u(qh_a, 2);
      qh_b = i16x8.shr_u(qh_b, 2);
    }
  }
}

/** Sixteen weights at `y`: four bits of a level in `low`, the fifth in bit 0 of `qh`; scale at SUB_D + `j`. */
function restore(y: usize, low: v128, qh: v128, j: usize): void {
  const level = v128.or(low, i16x8.shl(v128.and(qh, i8x16.splat(1)), 4));
  store_scaled_plus(y, level, v128.load32_splat(SUB_D + j), f32x4.neg(v128.load32_splat(SUB_M + j)));
}
