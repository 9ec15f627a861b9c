// MXFP4: 32 weights in 17 bytes.   0: e u8, a power of two   1: 16 bytes, low nibble = weight j, high = weight j + 16
//   weight = 2^(e - 128) * V[q],  V = 0 1 2 3 4 6 8 12 and the same negative: the fp4 format E2M1, doubled
// The scale puts the largest magnitude between 8 and 16; quants go to the nearest of V, of two the smaller, and 8 (-0)
// is never chosen. Below 2^-125 the exponent wraps around as a byte, as in ggml, and such a block comes out as zeros.

import { absmax32 } from "../../search/search";
import { join_nibbles, scale_of, store_scaled, whole_i32 } from "../pack";

export const BLOCK_SIZE_MXFP4: i32 = 32;
export const TYPE_SIZE_MXFP4: i32 = 17;

export function quantize_row_mxfp4(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 128, y += 17) {
    const amax = absmax32(x);
    // The logarithm of a float just under a power of two may round up to that power's: ggml's does so too.
    const e: i32 = amax > 0 ? <i32>floor(Mathf.log2(amax)) - 2 + 127 : 0;
    store<u8>(y, e);
    const half = f32x4.splat(scale_of(e & 255) / 2);
    v128.store(y, join_nibbles(to_fp4(x, half), to_fp4(x + 64, half)), 1);
  }
}

/** Sixteen floats at `x` to quants, for a scale of 2 * `half`. */
function to_fp4(x: usize, half: v128): v128 {
  const x0 = v128.load(x);
  const x1 = v128.load(x, 16);
  const x2 = v128.load(x, 32);
  const x3 = v128.load(x, 48);
  // All midpoints between levels are whole in halves of the scale, so halves rounded up tell the levels apart.
  const low = i16x8.narrow_i32x4_s(halves(x0, half), halves(x1, half));
  const high = i16x8.narrow_i32x4_s(halves(x2, half), halves(x3, half));
  const index = i8x16.min_u(i8x16.narrow_i16x8_u(low, high), i8x16.splat(31));
  const level = v128.or(
    i8x16.swizzle(i8x16(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 6), index),
    i8x16.swizzle(i8x16(6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7), i8x16.sub(index, i8x16.splat(16))),
  );
  // Narrowing saturates, so a byte keeps the sign of its float.
  const signs = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(x0, x1), i16x8.narrow_i32x4_s(x2, x3));
  const negative = i8x16.lt_s(signs, i8x16.splat(0));
  const nonzero = i8x16.ne(level, i8x16.splat(0));
  return v128.or(level, v128.and(v128.and(negative, nonzero), i8x16.splat(8)));
}

function halves(v: v128, half: v128): v128 {
  return whole_i32(f32x4.ceil(f32x4.div(f32x4.abs(v), half)));
}

export function dequantize_row_mxfp4(x: usize, y: usize, n: i32): void {
  const values = i8x16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
  for (const end = y + <usize>n * 4; y < end; x += 17, y += 128) {
    const d = f32x4.splat(scale_of(load<u8>(x)));
    const q = v128.load(x, 1);
    store_scaled(y, i8x16.swizzle(values, v128.and(q, i8x16.splat(15))), d);
    store_scaled(y + 64, i8x16.swizzle(values, i8x16.shr_u(q, 4)), d);
  }
}
