// Q6_K: 256 weights in 210 bytes, 16 sub-blocks of 16.
//   0: 128 bytes ql   128: 64 bytes qh   192: 16 × i8 scale   208: d f16
//   byte 64 h + l of ql, l < 64: low nibble = lower four bits of level 128 h + l, high nibble = of level 128 h + 64 + l
//   byte 32 h + l of qh, l < 32: bits 2 k and 2 k + 1 = upper two bits of level 128 h + 32 k + l
//   weight = d * scale * (level - 32)
// The scales are rounded plainly, the largest to -128, and with an importance matrix too, as in ggml.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { make_qx_quants } from "../../search/search_qx";
import { narrow_i8, store_scaled } from "../pack";
import {
  absmax_scale,
  gather_levels,
  LEVELS,
  NO_MINS,
  nearest_int4,
  round_levels,
  SCALES,
  SUB_D,
  search_levels,
} from "./superblock";
import { EPSILON, load_tiles, load_weights, weigh_by_square } from "./tiles";

export const BLOCK_SIZE_Q6_K: i32 = 256;
export const TYPE_SIZE_Q6_K: i32 = 210;

export function quantize_row_q6_k(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 210) {
    load_tiles(x, 16);
    weigh_by_square();
    make_qx_quants(32);
    store_block(x, y);
  }
}

export function quantize_row_q6_k_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 210, w += 1024) {
    load_tiles(x, 16);
    load_weights(w, 16);
    make_qx_quants(32);
    store_block(x, y);
  }
}

/** A block for what the search found. */
export function store_block(x: usize, y: usize): void {
  const largest = absmax_scale();
  if (abs(largest) < EPSILON) {
    memory.fill(y, 0, 210);
    return;
  }
  const iscale: f32 = -128 / largest;
  store<u16>(y + 208, <u16>f32_to_f16(1 / iscale));
  const d = f16_to_f32(load<u16>(y + 208));
  const scales = narrow_i8(
    round_scale(SCALES, iscale),
    round_scale(SCALES + 16, iscale),
    round_scale(SCALES + 32, iscale),
    round_scale(SCALES + 48, iscale),
  );
  v128.store(y + 192, scales);
  store_scaled(SUB_D, scales, f32x4.splat(d));
  round_levels(x, 16, NO_MINS, -32, 31);
  search_levels(x, 16, -32, 31);
  for (let q = LEVELS, ql = y, qh = y + 128; q < LEVELS + 256; q += 96, ql += 32) {
    for (const end = q + 32; q < end; q += 16, ql += 16, qh += 16) {
      v128.store(ql, gather_levels(q, 64, 0, 4));
      v128.store(ql, gather_levels(q + 32, 64, 0, 4), 32);
      v128.store(qh, gather_levels(q, 32, 4, 2));
    }
  }
}

function round_scale(x: usize, iscale: f32): v128 {
  return nearest_int4(f32x4.mul(f32x4.splat(iscale), v128.load(x)));
}

export function dequantize_row_q6_k(x: usize, y: usize, n: i32): void {
  const low = i8x16.splat(15);
  for (const end = y + <usize>n * 4; y < end; x += 210) {
    const d = f16_to_f32(load<u16>(x + 208));
    for (let h: usize = 0; h < 2; h++, y += 512) {
      for (let l: usize = 0; l < 2; l++) {
        const ql = x + h * 64 + l * 16;
        const a = v128.load(ql);
        const b = v128.load(ql, 32);
        const qh = v128.load(x + 128 + h * 32 + l * 16);
        const scales = x + 192 + h * 8 + l;
        const out = y + l * 64;
        restore(out, v128.and(a, low), qh, d * <f32>load<i8>(scales));
        restore(out + 128, v128.and(b, low), i8x16.shr_u(qh, 2), d * <f32>load<i8>(scales + 2));
        restore(out + 256, i8x16.shr_u(a, 4), i8x16.shr_u(qh, 4), d * <f32>load<i8>(scales + 4));
        restore(out + 384, i8x16.shr_u(b, 4), i8x16.shr_u(qh, 6), d * <f32>load<i8>(scales + 6));
      }
    }
  }
}

/** Sixteen weights at `y`: four bits of a level in `low`, the upper two in bits 0 and 1 of `qh`. */
function restore(y: usize, low: v128, qh: v128, d: f32): void {
  const level = v128.or(low, i16x8.shl(v128.and(qh, i8x16.splat(3)), 4));
  store_scaled(y, i8x16.sub(level, i8x16.splat(32)), f32x4.splat(d));
}
