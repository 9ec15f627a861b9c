// Q8_1: 32 weights in 36 bytes.   0: d f16   2: s f16, d times the sum of q   4: 32 × i8 q
//   weight = d * q
// ggml makes it of activations, for products with types that have a min; s only spares those the sum.
import { f16_to_f32 } from "../../numbers/f16";
import { store_scaled } from "../pack";

export const BLOCK_SIZE_Q8_1: i32 = 32;
export const TYPE_SIZE_Q8_1: i32 = 36;

export function dequantize_row_q8_1(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 36, y += 128) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    store_scaled(y, v128.load(x, 4), d);
    store_scaled(y + 64, v128.load(x, 20), d);
  }
}
