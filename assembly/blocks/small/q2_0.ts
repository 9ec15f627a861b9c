// Q2_0: 64 weights in 18 bytes.   0: d f16   2: 16 bytes of q, two bits each, lowest bits first
//   weight = d * (q - 1)
import { f16_to_f32 } from "../../numbers/f16";
import { store_scaled, two_bits } from "../pack";

export const BLOCK_SIZE_Q2_0: i32 = 64;
export const TYPE_SIZE_Q2_0: i32 = 18;

export function dequantize_row_q2_0(x: usize, y: usize, n: i32): void {
  const levels = i8x16(-1, 0, 1, 2, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0);
  for (const end = y + <usize>n * 4; y < end; x += 18) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    for (let q = x + 2; q < x + 18; q += 4, y += 64) store_scaled(y, two_bits(load<u32>(q), levels), d);
  }
}
