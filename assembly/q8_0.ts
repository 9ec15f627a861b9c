// Q8_0: 32 weights in 34 bytes.   0: d f16   2: 32 × i8 q
//   weight = d * q
// The quants are chosen with the f32 scale; d is rounded to f16 only when stored, as in ggml.
import { f16_to_f32, f32_to_f16 } from "./f16";
import { absmax32, round_away } from "./search";

export const BLOCK_SIZE_Q8_0: i32 = 32;
export const TYPE_SIZE_Q8_0: i32 = 34;

export function quantize_row_q8_0(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 128, y += 34) {
    const d = absmax32(x) / 127;
    const id = f32x4.splat(d !== 0 ? 1 / d : 0);
    store<u16>(y, <u16>f32_to_f16(d));
    v128.store(y + 2, to_i8(x, id));
    v128.store(y + 18, to_i8(x + 64, id));
  }
}

/** Sixteen floats at `x` times `id`, rounded half away from zero, to sixteen i8. */
function to_i8(x: usize, id: v128): v128 {
  const a = i16x8.narrow_i32x4_s(
    round_away(f32x4.mul(v128.load(x), id)),
    round_away(f32x4.mul(v128.load(x, 16), id)),
  );
  const b = i16x8.narrow_i32x4_s(
    round_away(f32x4.mul(v128.load(x, 32), id)),
    round_away(f32x4.mul(v128.load(x, 48), id)),
  );
  return i8x16.narrow_i16x8_s(a, b);
}

export function dequantize_row_q8_0(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 34, y += 128) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    for (let i: usize = 0; i < 32; i += 8) {
      const q = v128.load8x8_s(x + 2 + i);
      v128.store(y + i * 4, f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(q))));
      v128.store(y + i * 4, f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(q))), 16);
    }
  }
}
