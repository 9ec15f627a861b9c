// Q1_0: 128 weights in 18 bytes.   0: d f16   2: 16 bytes of q, one bit each, lowest bit first
//   weight = d * (2 q - 1)
// d is the mean magnitude, added up one weight after the other as in ggml; q says that a weight is no less than zero.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { spread_bits, store_scaled } from "../pack";

export const BLOCK_SIZE_Q1_0: i32 = 128;
export const TYPE_SIZE_Q1_0: i32 = 18;

export function quantize_row_q1_0(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; y += 18) {
    let sum: f32 = 0;
    for (let q = y + 2; q < y + 18; q++, x += 32) {
      const low = i32x4.bitmask(f32x4.ge(v128.load(x), f32x4.splat(0)));
      const high = i32x4.bitmask(f32x4.ge(v128.load(x, 16), f32x4.splat(0)));
      store<u8>(q, low | (high << 4));
      for (let i: usize = 0; i < 32; i += 4) sum += abs(load<f32>(x + i));
    }
    store<u16>(y, <u16>f32_to_f16(sum / 128));
  }
}

export function dequantize_row_q1_0(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 18) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    for (let q = x + 2; q < x + 18; q += 2, y += 64) {
      const level = v128.bitselect(i8x16.splat(1), i8x16.splat(-1), spread_bits(load<u16>(q)));
      store_scaled(y, level, d);
    }
  }
}
