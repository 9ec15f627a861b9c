// Q4_K: 256 weights in 144 bytes, 8 sub-blocks of 32.
//   0: d f16   2: dmin f16   4: 12 bytes, eight 6-bit scales and eight 6-bit mins, see pack_scales_mins
//   16: 128 bytes qs
//   byte 32 p + l of qs: low nibble = level 64 p + l, high nibble = level 64 p + 32 + l
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

export const BLOCK_SIZE_Q4_K: i32 = 256;
export const TYPE_SIZE_Q4_K: i32 = 144;

export function quantize_row_q4_k(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 144) {
    load_tiles(x, 32);
    weigh_by_magnitude(32);
    make_qkx2_quants(32, 15, -1, 0.1, 20, false);
    store_searched(x, y);
  }
}

export function quantize_row_q4_k_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 144, w += 1024) {
    load_tiles(x, 32);
    weigh_by_importance(x, w, 32, 2);
    make_qkx2_quants(32, 15, -0.9, 0.05, 36, false);
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
  store_block(x, y);
}

/** The rest of a block, for the d and dmin it has and SCALES_MINS. */
function store_block(x: usize, y: usize): void {
  pack_scales_mins(y + 4);
  unpack_scales_mins(y + 4, f16_to_f32(load<u16>(y)), f16_to_f32(load<u16>(y + 2)));
  round_levels(x, 32, SUB_M, 0, 15);
  search_levels(x, 32, 0, 15);
  for (let q = LEVELS, p = y + 16; q < LEVELS + 256; q += 64, p += 32) {
    v128.store(p, gather_levels(q, 32, 0, 4));
    v128.store(p, gather_levels(q + 16, 32, 0, 4), 16);
  }
}

export function dequantize_row_q4_k(x: usize, y: usize, n: i32): void {
  const low = i8x16.splat(15);
  for (const end = y + <usize>n * 4; y < end; x += 144) {
    unpack_scales_mins(x + 4, f16_to_f32(load<u16>(x)), f16_to_f32(load<u16>(x + 2)));
    for (let j: usize = 0, q = x + 16; j < 32; j += 8, q += 32, y += 256) {
      const a = v128.load(q);
      const b = v128.load(q, 16);
      const d = v128.load32_splat(SUB_D + j);
      const m = f32x4.neg(v128.load32_splat(SUB_M + j));
      store_scaled_plus(y, v128.and(a, low), d, m);
      store_scaled_plus(y + 64, v128.and(b, low), d, m);
      const next_d = v128.load32_splat(SUB_D + j, 4);
      const next_m = f32x4.neg(v128.load32_splat(SUB_M + j, 4));
      store_scaled_plus(y + 128, i8x16.shr_u(a, 4), next_d, next_m);
      store_scaled_plus(y + 192, i8x16.shr_u(b, 4), next_d, next_m);
    }
  }
}
