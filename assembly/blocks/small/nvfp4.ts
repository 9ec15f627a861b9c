// NVFP4: 64 weights in 36 bytes, in 4 sub-blocks of 16.
//   0: 4 × u8 scale, a float without sign: 4 bits of exponent, biased by 7, then 3 of mantissa (UE4M3)
//   4: 8 bytes for each sub-block, low nibble = weight j, high nibble = weight j + 8
//   weight = scale / 2 * V[q],  V = 0 1 2 3 4 6 8 12 and the same negative: the fp4 format E2M1, doubled
// Scale 127, the format's NaN, is 0, as in ggml; the top bit is not looked at otherwise.
// A sub-block's scale maps its largest magnitude to 12, the half scale being what a level is counted in; quants go to the
// nearest level, of two the smaller, and 8 (-0) is never chosen.
import { four_bits, narrow_u8, store_scaled } from "../pack";

export const BLOCK_SIZE_NVFP4: i32 = 64;
export const TYPE_SIZE_NVFP4: i32 = 36;

const LEVELS: usize = memory.data<u8>([0, 1, 2, 3, 4, 6, 8, 12]);

/** 2^119 moves a scale's exponent, placed in f32's field, to where f32 has that of its half; subnormals come out normal. */
const TWO_119: u32 = 0x7b000000;

export function quantize_row_nvfp4(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; y += 36) {
    for (let k: usize = 0; k < 4; k++, x += 64) {
      const scale = to_ue4m3(absmax16(x) / 6);
      store<u8>(y + k, scale);
      const half = half_scale(scale);
      const q = narrow_u8(to_fp4(x, half), to_fp4(x + 16, half), to_fp4(x + 32, half), to_fp4(x + 48, half));
      const high = i8x16.shuffle(q, q, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
      v128.store64_lane(y + k * 8, v128.or(q, i16x8.shl(high, 4)), 0, 4);
    }
  }
}

function absmax16(x: usize): f32 {
  let most: f32 = 0;
  for (const end = x + 64; x < end; x += 4) most = max(most, abs(load<f32>(x)));
  return most;
}

/** The nearest scale, halves of its last place away from zero; from 256 on it is the largest, 448, as in ggml. */
function to_ue4m3(f: f32): u32 {
  if (!(f > 0)) return 0;
  const bits = reinterpret<u32>(f);
  const exponent = <i32>(bits >> 23) - 120;
  if (exponent <= 0) return min(7, <u32>(f * 512 + 0.5));
  const scale = (((<u32>exponent) << 3) | ((bits >> 20) & 7)) + ((bits >> 19) & 1);
  return scale < 120 ? scale : 126;
}

/** Quants of the four floats at `x`, as i32. */
function to_fp4(x: usize, half: f32): v128 {
  const value = v128.load(x);
  const magnitude = f32x4.abs(value);
  let error = magnitude;
  let q = i32x4.splat(0);
  for (let i = 1; i < 8; i++) {
    const level: f32 = half * <f32>load<u8>(LEVELS + i);
    const other = f32x4.abs(f32x4.sub(f32x4.splat(level), magnitude));
    const nearer = f32x4.lt(other, error);
    error = v128.bitselect(other, error, nearer);
    q = v128.bitselect(i32x4.splat(i), q, nearer);
  }
  const negative = v128.and(f32x4.lt(value, f32x4.splat(0)), i32x4.gt_s(q, i32x4.splat(0)));
  return v128.or(q, v128.and(negative, i32x4.splat(8)));
}

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
