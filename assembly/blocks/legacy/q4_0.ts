// Q4_0: 32 weights in 18 bytes.   0: d f16   2: 16 bytes, low nibble = weight j, high nibble = weight j + 16
//   weight = d * (q - 8)
// The quants are chosen with the f32 scale; d is rounded to f16 only when stored, as in ggml. Where d is so small that
// 1 / d overflows, the quants are 0: what ggml's cast of an infinity or NaN to an integer gives on x86.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { signed_absmax32, sum_squares } from "../../search/search";
import { search_qx, weigh32 } from "../../search/search_32";
import { cut_u8, join_nibbles, store_scaled } from "../pack";
import {
  FOUR_BLOCKS,
  highest_of_four,
  IDS,
  lowest_of_four,
  measure_four,
  ordinary,
  store_halves,
} from "./fours";

export const BLOCK_SIZE_Q4_0: i32 = 32;
export const TYPE_SIZE_Q4_0: i32 = 18;

export function quantize_row_q4_0(x: usize, y: usize, n: i32): void {
  const end = x + <usize>n * 4;
  for (; x + FOUR_BLOCKS <= end; x += FOUR_BLOCKS, y += 72) {
    if (quantize_four(x, y)) continue;
    for (let b: usize = 0; b < 4; b++) quantize_block(x + b * 128, y + b * 18);
  }
  for (; x < end; x += 128, y += 18) quantize_block(x, y);
}

/** Four blocks at once; false, and nothing done, where one of them needs quantize_block. */
function quantize_four(x: usize, y: usize): bool {
  measure_four(x);
  const highest = highest_of_four();
  const lowest = lowest_of_four();
  const opposite = f32x4.neg(lowest);
  const extreme = v128.bitselect(highest, lowest, f32x4.gt(highest, opposite));
  const d = f32x4.mul(extreme, f32x4.splat(-0.125));
  const id = f32x4.div(f32x4.splat(1), d);
  v128.store(IDS, id);
  // Of equal magnitudes the first counts: one at a time.
  if (!i32x4.all_true(v128.and(ordinary(id), f32x4.ne(highest, opposite)))) return false;
  store_halves(y, 18, d);
  for (let b: usize = 0; b < 16; b += 4, x += 128, y += 18) store_quants(x, y, v128.load32_splat(IDS + b));
  return true;
}

function quantize_block(x: usize, y: usize): void {
  const d = signed_absmax32(x) / -8;
  const id: f32 = d !== 0 ? 1 / d : 0;
  store<u16>(y, <u16>f32_to_f16(d));
  if (abs(id) === Infinity) memory.fill(y + 2, 0, 16);
  else store_quants(x, y, f32x4.splat(id));
}

function store_quants(x: usize, y: usize, id: v128): void {
  v128.store(y, join_nibbles(to_u4(x, id), to_u4(x + 64, id)), 2);
}

/** Sixteen floats at `x` times `id`, plus 8.5, cut to 0..15. */
function to_u4(x: usize, id: v128): v128 {
  const q = cut_u8(plus_8_5(x, id), plus_8_5(x + 16, id), plus_8_5(x + 32, id), plus_8_5(x + 48, id));
  return i8x16.min_u(q, i8x16.splat(15));
}

function plus_8_5(x: usize, id: v128): v128 {
  return f32x4.add(f32x4.mul(v128.load(x), id), v128.load(MIDDLE));
}

const MIDDLE: usize = memory.data<f32>([8.5, 8.5, 8.5, 8.5], 16);

const WEIGHTS: usize = memory.data(128, 16);
const QUANTS: usize = memory.data(32, 16);

/** One row of `n` with an importance matrix: `w` has a weight for each column. The quants are those of the search. */
export function quantize_row_q4_0_weighted(x: usize, y: usize, n: i32, w: usize): void {
  const sigma2 = sum_squares(x, n) / <f32>n;
  for (const end = x + <usize>n * 4; x < end; x += 128, y += 18, w += 128) {
    weigh32(x, w, sigma2, WEIGHTS);
    const d = search_qx(x, WEIGHTS, 8, QUANTS);
    store<u16>(y, <u16>f32_to_f16(d));
    v128.store(y, join_nibbles(v128.load(QUANTS), v128.load(QUANTS, 16)), 2);
  }
}

export function dequantize_row_q4_0(x: usize, y: usize, n: i32): void {
  const low = i8x16.splat(15);
  const eight = i8x16.splat(8);
  for (const end = y + <usize>n * 4; y < end; x += 18, y += 128) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    const q = v128.load(x, 2);
    store_scaled(y, i8x16.sub(v128.and(q, low), eight), d);
    store_scaled(y + 64, i8x16.sub(i8x16.shr_u(q, 4), eight), d);
  }
}
