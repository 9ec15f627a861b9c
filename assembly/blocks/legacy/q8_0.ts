// Q8_0: 32 weights in 34 bytes.   0: d f16   2: 32 × i8 q
//   weight = d * q
// The quants are chosen with the f32 scale; d is rounded to f16 only when stored, as in ggml. Where d is so small that
// 1 / d overflows, the quants are 0: what ggml's cast of an infinity or NaN to an integer gives on x86.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { absmax32 } from "../../search/search";
import { store_scaled, to_i8 } from "../pack";
import {
  FOUR_BLOCKS,
  highest_of_four,
  IDS,
  lowest_of_four,
  measure_four,
  ordinary,
  store_halves,
} from "./fours";

export const BLOCK_SIZE_Q8_0: i32 = 32;
export const TYPE_SIZE_Q8_0: i32 = 34;

export function quantize_row_q8_0(x: usize, y: usize, n: i32): void {
  const end = x + <usize>n * 4;
  for (; x + FOUR_BLOCKS <= end; x += FOUR_BLOCKS, y += 136) {
    if (quantize_four(x, y)) continue;
    for (let b: usize = 0; b < 4; b++) quantize_block(x + b * 128, y + b * 34);
  }
  for (; x < end; x += 128, y += 34) quantize_block(x, y);
}

/** Four blocks at once; false, and nothing done, where one of them needs quantize_block. */
function quantize_four(x: usize, y: usize): bool {
  measure_four(x);
  const amax = f32x4.pmax(highest_of_four(), f32x4.neg(lowest_of_four()));
  const d = f32x4.div(amax, f32x4.splat(127));
  const id = f32x4.div(f32x4.splat(1), d);
  v128.store(IDS, id);
  if (!i32x4.all_true(ordinary(id))) return false;
  store_halves(y, 34, d);
  for (let b: usize = 0; b < 16; b += 4, x += 128, y += 34) store_quants(x, y, v128.load32_splat(IDS + b));
  return true;
}

function quantize_block(x: usize, y: usize): void {
  const d = absmax32(x) / 127;
  const id: f32 = d !== 0 ? 1 / d : 0;
  store<u16>(y, <u16>f32_to_f16(d));
  if (id === Infinity) memory.fill(y + 2, 0, 32);
  else store_quants(x, y, f32x4.splat(id));
}

function store_quants(x: usize, y: usize, id: v128): void {
  v128.store(y, to_i8(x, id), 2);
  v128.store(y, to_i8(x + 64, id), 18);
}

export function dequantize_row_q8_0(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 34, y += 128) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    store_scaled(y, v128.load(x, 2), d);
    store_scaled(y + 64, v128.load(x, 18), d);
  }
}
