// Q2_K: 256 weights in 84 bytes, 16 sub-blocks of 16.
//   0: 16 bytes, low nibble = scale, high nibble = min   16: 64 bytes qs   80: d f16   82: dmin f16
//   byte 32 h + l of qs: bits 2 k and 2 k + 1 = level 128 h + 32 k + l
//   weight = d * scale * level - dmin * min
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { make_qkx2_quants } from "../../search/search_qkx2";
import { make_qp_quants } from "../../search/search_qp";
import { store_scaled, store_scaled_plus } from "../pack";
import {
  gather_levels,
  LEVELS,
  MINS,
  round_levels,
  round_scales,
  SCALES,
  SUB_D,
  SUB_M,
  SUMS,
  search_levels,
} from "./superblock";
import { load_tiles, weigh_by_absolute, weigh_by_importance } from "./tiles";

export const BLOCK_SIZE_Q2_K: i32 = 256;
export const TYPE_SIZE_Q2_K: i32 = 84;

/** Scales and mins, a byte each. */
const SUB_SCALES: usize = memory.data(16, 16);
const SUB_MINS: usize = memory.data(16, 16);

export function quantize_row_q2_k(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 84) {
    load_tiles(x, 16);
    weigh_by_absolute();
    make_qkx2_quants(16, 3, -0.5, 0.1, 15, true);
    store_searched(x, y);
  }
}

export function quantize_row_q2_k_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 84, w += 1024) {
    load_tiles(x, 16);
    weigh_by_importance(x, w, 16, 1);
    make_qkx2_quants(16, 3, -0.9, 0.05, 36, false);
    store_searched_weighted(x, y);
  }
}

/** A block for what the search found. */
export function store_searched(x: usize, y: usize): void {
  store<u16>(y + 80, <u16>f32_to_f16(round_scales(SCALES, 16, 15, SUB_SCALES)));
  store<u16>(y + 82, <u16>f32_to_f16(round_scales(MINS, 16, 15, SUB_MINS)));
  store_block(x, y);
}

/** The same where there is an importance matrix. */
export function store_searched_weighted(x: usize, y: usize): void {
  store<u16>(y + 80, <u16>f32_to_f16(make_qp_quants(16, 15, SCALES, SUMS, SUB_SCALES)));
  store<u16>(y + 82, <u16>f32_to_f16(make_qp_quants(16, 15, MINS, SUMS, SUB_MINS)));
  store_block(x, y);
}

/** The rest of a block, for the d and dmin it has, SUB_SCALES and SUB_MINS. */
function store_block(x: usize, y: usize): void {
  v128.store(y, v128.or(v128.load(SUB_SCALES), i8x16.shl(v128.load(SUB_MINS), 4)));
  unpack_scales_mins(y);
  round_levels(x, 16, SUB_M, 0, 3);
  search_levels(x, 16, 0, 3);
  v128.store(y + 16, gather_levels(LEVELS, 32, 0, 2));
  v128.store(y + 32, gather_levels(LEVELS + 16, 32, 0, 2));
  v128.store(y + 48, gather_levels(LEVELS + 128, 32, 0, 2));
  v128.store(y + 64, gather_levels(LEVELS + 144, 32, 0, 2));
}

/** SUB_D and SUB_M of the block at `x`. */
function unpack_scales_mins(x: usize): void {
  const bytes = v128.load(x);
  store_scaled(SUB_D, v128.and(bytes, i8x16.splat(15)), f32x4.splat(f16_to_f32(load<u16>(x + 80))));
  store_scaled(SUB_M, i8x16.shr_u(bytes, 4), f32x4.splat(f16_to_f32(load<u16>(x + 82))));
}

export function dequantize_row_q2_k(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 84) {
    unpack_scales_mins(x);
    let sub: usize = 0;
    for (let q = x + 16; q < x + 80; q += 32) {
      for (let shift = 0; shift < 8; shift += 2, sub += 8, y += 128) {
        restore(y, i16x8.shr_u(v128.load(q), shift), sub);
        restore(y + 64, i16x8.shr_u(v128.load(q, 16), shift), sub + 4);
      }
    }
  }
}

/** Sixteen weights at `y`, their levels in bits 0 and 1 of `q`; scale at SUB_D + `sub`. */
function restore(y: usize, q: v128, sub: usize): void {
  const m = f32x4.neg(v128.load32_splat(SUB_M + sub));
  store_scaled_plus(y, v128.and(q, i8x16.splat(3)), v128.load32_splat(SUB_D + sub), m);
}
