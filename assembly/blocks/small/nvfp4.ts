// NVFP4: 64 weights in 36 bytes, in 4 sub-blocks of 16.
//   0: 4 × u8 scale, a float without sign: 4 bits of exponent, biased by 7, then 3 of mantissa (UE4M3)
//   4: 8 bytes for each sub-block, low nibble = weight j, high nibble = weight j + 8
//   weight = scale / 2 * V[q],  V = 0 1 2 3 4 6 8 12 and the same negative: the fp4 format E2M1, doubled
// Scale 127, the format's NaN, is 0, as in ggml; the top bit is not looked at otherwise.
import { four_bits, store_scaled } from "../pack";

export const BLOCK_SIZE_NVFP4: i32 = 64;
export const TYPE_SIZE_NVFP4: i32 = 36;

/** 2^119 moves a scale's exponent, placed in f32's field, to where f32 has that of its half; subnormals come out normal. */
const TWO_119: u32 = 0x7b000000;

export function dequantize_row_nvfp4(x: usize, y: usize, n: i32): void {
  const values = i8x16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
  for (const end = y + <usize>n * 4; y < end; x += 36) {
    for (let k: usize = 0; k < 4; k++, y += 64) {
      const q = load<u64>(x + k * 8, 4);
      const level = four_bits(q, values);
      // Weights 0 and 8 share the first byte, and so on: even places, then odd ones.
      const order = i8x16.shuffle(level, level, 0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
      store_scaled(y, order, f32x4.splat(half_scale(load<u8>(x + k))));
    }
  }
}

/** Half of what the byte of a scale says. */
function half_scale(e: u32): f32 {
  return e === 127 ? 0 : reinterpret<f32>((e & 127) << 20) * reinterpret<f32>(TWO_119);
}
