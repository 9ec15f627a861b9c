// Q1_0: 128 weights in 18 bytes.   0: d f16   2: 16 bytes of q, one bit each, lowest bit first
//   weight = d * (2 q - 1)
import { f16_to_f32 } from "../../numbers/f16";
import { spread_bits, store_scaled } from "../pack";

export const BLOCK_SIZE_Q1_0: i32 = 128;
export const TYPE_SIZE_Q1_0: i32 = 18;

export function dequantize_row_q1_0(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 18) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    for (let q = x + 2; q < x + 18; q += 2, y += 64) {
      const level = v128.bitselect(i8x16.splat(1), i8x16.splat(-1), spread_bits(load<u16>(q)));
      store_scaled(y, level, d);
    }
  }
}
