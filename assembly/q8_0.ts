// Q8_0: 32 weights in 34 bytes.   0: d f16   2: 32 × i8 q
//   weight = d * q
// The quants are chosen with the f32 scale; d is rounded to f16 only when stored, as in ggml. Where d is so small that
// 1 / d overflows, the quants are 0: what ggml's cast of an infinity or NaN to an integer gives on x86.
import { f16_to_f32, f32_to_f16 } from "./f16";
import { store_scaled, to_i8 } from "./pack";
import { absmax32 } from "./search";

export const BLOCK_SIZE_Q8_0: i32 = 32;
export const TYPE_SIZE_Q8_0: i32 = 34;

export function quantize_row_q8_0(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 128, y += 34) {
    const d = absmax32(x) / 127;
    const id: f32 = d !== 0 ? 1 / d : 0;
    store<u16>(y, <u16>f32_to_f16(d));
    if (id === Infinity) {
      memory.fill(y + 2, 0, 32);
      continue;
    }
    v128.store(y, to_i8(x, f32x4.splat(id)), 2);
    v128.store(y, to_i8(x + 64, f32x4.splat(id)), 18);
  }
}

export function dequantize_row_q8_0(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 34, y += 128) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    store_scaled(y, v128.load(x, 2), d);
    store_scaled(y + 64, v128.load(x, 18), d);
  }
}
