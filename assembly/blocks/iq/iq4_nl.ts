// IQ4_NL: 32 weights in 18 bytes.   0: d f16   2: 16 bytes, low nibble = weight j, high nibble = weight j + 16
//   weight = d * LEVEL[q],  LEVEL = -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113
// The scale is searched, with weights x² or from the importance matrix: what llama-quantize does, not the shortcut
// of ggml's from_float. The quants are chosen with the f32 scale; d is rounded to f16 only when stored, as in ggml.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { sum_squares } from "../../search/search";
import { IQ4_LEVELS, iq4_quants, search_iq4, square32, weigh32 } from "../../search/search_32";
import { join_nibbles, store_scaled } from "../pack";

export const BLOCK_SIZE_IQ4_NL: i32 = 32;
export const TYPE_SIZE_IQ4_NL: i32 = 18;

const WEIGHTS: usize = memory.data(128, 16);

export function quantize_row_iq4_nl(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 128, y += 18) {
    square32(x, WEIGHTS);
    quantize_block(x, y);
  }
}

export function quantize_row_iq4_nl_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 128, y += 18, w += 128) {
    weigh32(x, w, sum_squares(x, 32) * (2.0 / 32), WEIGHTS);
    quantize_block(x, y);
  }
}

function quantize_block(x: usize, y: usize): void {
  const d = search_iq4(x, WEIGHTS);
  const id = f32x4.splat(d !== 0 ? 1 / d : 0);
  store<u16>(y, <u16>f32_to_f16(d));
  v128.store(y, join_nibbles(iq4_quants(x, id), iq4_quants(x + 64, id)), 2);
}

export function dequantize_row_iq4_nl(x: usize, y: usize, n: i32): void {
  const levels = v128.load(IQ4_LEVELS);
  for (const end = y + <usize>n * 4; y < end; x += 18, y += 128) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    const q = v128.load(x, 2);
    store_scaled(y, i8x16.swizzle(levels, v128.and(q, i8x16.splat(15))), d);
    store_scaled(y + 64, i8x16.swizzle(levels, i8x16.shr_u(q, 4)), d);
  }
}
