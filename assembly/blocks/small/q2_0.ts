// Q2_0: 64 weights in 18 bytes.   0: d f16   2: 16 bytes of q, two bits each, lowest bits first
//   weight = d * (q - 1)
// d is the largest magnitude, so 3, which stands for 2 d, is never written.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { absmax32 } from "../../search/search";
import { store_scaled, to_i8, two_bits } from "../pack";

export const BLOCK_SIZE_Q2_0: i32 = 64;
export const TYPE_SIZE_Q2_0: i32 = 18;

export function quantize_row_q2_0(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; y += 18) {
    const d = max(absmax32(x), absmax32(x + 128));
    const inverse: f32 = d > 0 ? 1 / d : 0;
    const id = f32x4.splat(inverse);
    store<u16>(y, <u16>f32_to_f16(d));
    if (inverse === Infinity) {
      // d is zero as f16; ggml on x86 casts what is infinite or no number to the lowest quant.
      memory.fill(y + 2, 0, 16);
      x += 256;
      continue;
    }
    for (let q = y + 2; q < y + 18; q += 4, x += 64) {
      const level = i8x16.add(to_i8(x, id), i8x16.splat(1));
      // Four bytes of two bits to one: pairs first, then pairs of pairs.
      const pairs = v128.or(level, i16x8.shr_u(level, 6));
      const fours = v128.or(pairs, i32x4.shr_u(pairs, 12));
      const bytes = i8x16.swizzle(fours, i32x4(0x0c080400, 0, 0, 0));
      store<u32>(q, i32x4.extract_lane(bytes, 0));
    }
  }
}

export function dequantize_row_q2_0(x: usize, y: usize, n: i32): void {
  const levels = i8x16(-1, 0, 1, 2, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0);
  for (const end = y + <usize>n * 4; y < end; x += 18) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    for (let q = x + 2; q < x + 18; q += 4, y += 64) store_scaled(y, two_bits(load<u32>(q), levels), d);
  }
}
