// Q3_K: 256 weights in 110 bytes, 16 sub-blocks of 16.
//   0: 32 bytes hmask   32: 64 bytes qs   96: 12 bytes, sixteen scales of 6 bits   108: d f16
//   byte l of hmask: bit j = third bit of level 32 j + l
//   byte 32 h + l of qs: bits 2 k and 2 k + 1 = lower two bits of level 128 h + 32 k + l
//   scales: bytes 0..7 hold the lower four bits of scales 0..7, above them those of scales 8..15; byte 8 + i the upper
//   two bits of scales i, 4 + i, 8 + i, 12 + i, the first lowest
//   weight = d * (scale - 32) * (level - 4)
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { make_q3_quants, q3_levels } from "../../search/search_q3";
import { make_qx_quants, make_qx_scales } from "../../search/search_qx";
import { store_scaled } from "../pack";
import {
  absmax_scale,
  gather_levels,
  LEVELS,
  NO_MINS,
  nearest_int,
  round_levels,
  SCALES,
  SUB_D,
  search_levels,
} from "./superblock";
import { load_tiles, sum_weights, weigh_by_importance } from "./tiles";

export const BLOCK_SIZE_Q3_K: i32 = 256;
export const TYPE_SIZE_Q3_K: i32 = 110;

/** The scales as stored, 0..63, a byte each. */
const SUB_SCALES: usize = memory.data(16, 16);

export function quantize_row_q3_k(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 110) {
    load_tiles(x, 16);
    make_q3_quants();
    store<u16>(y + 108, <u16>f32_to_f16(round_scales()));
    pack_scales(y + 96);
    unpack_scales(y);
    q3_levels();
    store_levels(x, y);
  }
}

export function quantize_row_q3_k_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 110, w += 1024) {
    load_tiles(x, 16);
    weigh_by_importance(x, w, 16, 2);
    sum_weights();
    make_qx_quants(4);
    store_searched_weighted(x, y);
  }
}

/** A block for what the search with an importance matrix found. */
export function store_searched_weighted(x: usize, y: usize): void {
  store<u16>(y + 108, <u16>f32_to_f16(make_qx_scales(32, SUB_SCALES)));
  pack_scales(y + 96);
  unpack_scales(y);
  search_levels(x, 16, -4, 3);
  store_levels(x, y);
}

/** Rounds SCALES to SUB_SCALES, the largest to -32, all shifted up by 32, and returns the unit; all 0 if they are. */
function round_scales(): f32 {
  const largest = absmax_scale();
  if (largest === 0) {
    v128.store(SUB_SCALES, i8x16.splat(0));
    return 0;
  }
  const iscale: f32 = -32 / largest;
  for (let j: usize = 0; j < 16; j++) {
    // Through i8, as in ggml: it matters where iscale is infinite.
    const scale = <i8>nearest_int(iscale * load<f32>(SCALES + j * 4));
    store<u8>(SUB_SCALES + j, max(-32, min(31, <i32>scale)) + 32);
  }
  return 1 / iscale;
}

function pack_scales(y: usize): void {
  const a = load<u32>(SUB_SCALES);
  const b = load<u32>(SUB_SCALES + 4);
  const c = load<u32>(SUB_SCALES + 8);
  const d = load<u32>(SUB_SCALES + 12);
  store<u32>(y, (a & 0x0f0f0f0f) | ((c & 0x0f0f0f0f) << 4));
  store<u32>(y + 4, (b & 0x0f0f0f0f) | ((d & 0x0f0f0f0f) << 4));
  const ab = ((a >> 4) & 0x03030303) | (((b >> 4) & 0x03030303) << 2);
  const cd = ((c >> 4) & 0x03030303) | (((d >> 4) & 0x03030303) << 2);
  store<u32>(y + 8, ab | (cd << 4));
}

/** The sixteen scales of the block at `x`, -32..31, as i8. */
export function load_scales(x: usize): v128 {
  const a = load<u32>(x + 96);
  const b = load<u32>(x + 100);
  const c = load<u32>(x + 104);
  store<u32>(SUB_SCALES, (a & 0x0f0f0f0f) | ((c & 0x03030303) << 4));
  store<u32>(SUB_SCALES + 4, (b & 0x0f0f0f0f) | (((c >> 2) & 0x03030303) << 4));
  store<u32>(SUB_SCALES + 8, ((a >> 4) & 0x0f0f0f0f) | (((c >> 4) & 0x03030303) << 4));
  store<u32>(SUB_SCALES + 12, ((b >> 4) & 0x0f0f0f0f) | (((c >> 6) & 0x03030303) << 4));
  return i8x16.sub(v128.load(SUB_SCALES), i8x16.splat(32));
}

/** SUB_D of the block at `x`. */
function unpack_scales(x: usize): void {
  store_scaled(SUB_D, load_scales(x), f32x4.splat(f16_to_f32(load<u16>(x + 108))));
}

/** Stores the levels for the final scales; those of sub-blocks whose scale is zero are in LEVELS already. */
function store_levels(x: usize, y: usize): void {
  round_levels(x, 16, NO_MINS, -4, 3);
  v128.store(y, gather_levels(LEVELS, 32, 2, 1));
  v128.store(y + 16, gather_levels(LEVELS + 16, 32, 2, 1));
  v128.store(y + 32, gather_levels(LEVELS, 32, 0, 2));
  v128.store(y + 48, gather_levels(LEVELS + 16, 32, 0, 2));
  v128.store(y + 64, gather_levels(LEVELS + 128, 32, 0, 2));
  v128.store(y + 80, gather_levels(LEVELS + 144, 32, 0, 2));
}

export function dequantize_row_q3_k(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 110) {
    unpack_scales(x);
    let high_a = v128.load(x);
    let high_b = v128.load(x + 16);
    let sub = SUB_D;
    for (let q = x + 32; q < x + 96; q += 32) {
      for (let shift = 0; shift < 8; shift += 2, sub += 8, y += 128) {
        restore(y, i16x8.shr_u(v128.load(q), shift), high_a, sub);
        restore(y + 64, i16x8.shr_u(v128.load(q, 16), shift), high_b, sub + 4);
        high_a = i16x8.shr_u(high_a, 1);
        high_b = i16x8.shr_u(high_b, 1);
      }
    }
  }
}

/** Sixteen weights at `y`: two bits of a level in `q`, the third in bit 0 of `high`; their scale is at `sub`. */
function restore(y: usize, q: v128, high: v128, sub: usize): void {
  const third = i16x8.shl(v128.and(high, i8x16.splat(1)), 2);
  const level = v128.or(v128.and(q, i8x16.splat(3)), third);
  store_scaled(y, i8x16.sub(level, i8x16.splat(4)), v128.load32_splat(sub));
}
