// Q4_1: 32 weights in 20 bytes.   0: d f16   2: m f16   4: 16 bytes, low nibble = weight j, high nibble = weight j + 16
//   weight = d * q + m
// The quants are chosen with the f32 scale; d is rounded to f16 only when stored, as in ggml. Where d is so small that
// 1 / d overflows, the quants are 0: what ggml's cast of an infinity or NaN to an integer gives on x86.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { max32, min32, sum_squares } from "../../search/search";
import { search_eight } from "../../search/search_qkx3";
import { LEVELS, MINS, SCALES } from "../k/superblock";
import { join_nibbles, narrow_u8, store_scaled_plus, whole_i32 } from "../pack";
import {
  FOUR_BLOCKS,
  highest_of_four,
  IDS,
  lowest_of_four,
  MINS_OF_FOUR,
  measure_four,
  ordinary,
  store_halves,
} from "./fours";

export const BLOCK_SIZE_Q4_1: i32 = 32;
export const TYPE_SIZE_Q4_1: i32 = 20;

export function quantize_row_q4_1(x: usize, y: usize, n: i32): void {
  const end = x + <usize>n * 4;
  for (; x + FOUR_BLOCKS <= end; x += FOUR_BLOCKS, y += 80) {
    if (quantize_four(x, y)) continue;
    for (let b: usize = 0; b < 4; b++) quantize_block(x + b * 128, y + b * 20);
  }
  for (; x < end; x += 128, y += 20) quantize_block(x, y);
}

/** Four blocks at once; false, and nothing done, where one of them needs quantize_block. */
function quantize_four(x: usize, y: usize): bool {
  measure_four(x);
  const min = lowest_of_four();
  const max = highest_of_four();
  const d = f32x4.div(f32x4.sub(max, min), f32x4.splat(15));
  const id = f32x4.div(f32x4.splat(1), d);
  v128.store(MINS_OF_FOUR, min);
  v128.store(IDS, id);
  const usual = v128.and(v128.and(ordinary(min), ordinary(max)), ordinary(id));
  if (!i32x4.all_true(usual)) return false;
  store_halves(y, 20, d);
  store_halves(y + 2, 20, min);
  for (let b: usize = 0; b < 16; b += 4, x += 128, y += 20) {
    store_quants(x, y, v128.load32_splat(MINS_OF_FOUR + b), v128.load32_splat(IDS + b));
  }
  return true;
}

/** Quants of four weights at `x` and, as upper nibbles, of those sixteen further. */
function pairs(x: usize, min: v128, id: v128): v128 {
  const low = f32x4.trunc(scaled(x, min, id));
  const high = f32x4.trunc(scaled(x + 64, min, id));
  return whole_i32(f32x4.add(f32x4.mul(high, f32x4.splat(16)), low));
}

/** Four floats less `min`, times `id`, plus one half; at most 15.5. */
function scaled(x: usize, min: v128, id: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), min), id), f32x4.splat(0.5));
}

function quantize_block(x: usize, y: usize): void {
  const min = min32(x);
  const d = (max32(x) - min) / 15;
  const id: f32 = d !== 0 ? 1 / d : 0;
  store<u16>(y, <u16>f32_to_f16(d));
  store<u16>(y, <u16>f32_to_f16(min), 2);
  if (id === Infinity) memory.fill(y + 4, 0, 16);
  else store_quants(x, y, f32x4.splat(min), f32x4.splat(id));
}

function store_quants(x: usize, y: usize, min: v128, id: v128): void {
  v128.store(
    y,
    narrow_u8(pairs(x, min, id), pairs(x + 16, min, id), pairs(x + 32, min, id), pairs(x + 48, min, id)),
    4,
  );
}

/** One row of `n` with an importance matrix: `w` has a weight for each column. The quants are those of the search. */
export function quantize_row_q4_1_weighted(x: usize, y: usize, n: i32, w: usize): void {
  const sigma2 = sum_squares(x, n) / <f32>n;
  for (const end = x + <usize>n * 4; x < end; x += 1024, w += 1024) {
    const length = min<usize>(end - x, 1024);
    search_eight(x, w, length, sigma2, 15);
    for (let k: usize = 0; k * 32 < length; k += 4, y += 20) {
      const q = LEVELS + k * 8;
      store<u16>(y, <u16>f32_to_f16(load<f32>(SCALES + k)));
      store<u16>(y, <u16>f32_to_f16(-load<f32>(MINS + k)), 2);
      v128.store(y, join_nibbles(v128.load(q), v128.load(q, 16)), 4);
    }
  }
}

export function dequantize_row_q4_1(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 20, y += 128) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    const m = f32x4.splat(f16_to_f32(load<u16>(x, 2)));
    const q = v128.load(x, 4);
    store_scaled_plus(y, v128.and(q, i8x16.splat(15)), d, m);
    store_scaled_plus(y + 64, i8x16.shr_u(q, 4), d, m);
  }
}
