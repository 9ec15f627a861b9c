// Q4_0: 32 weights in 18 bytes.   0: d f16   2: 16 bytes, low nibble = weight j, high nibble = weight j + 16
//   weight = d * (q - 8)
// The quants are chosen with the f32 scale; d is rounded to f16 only when stored, as in ggml.
import { f16_to_f32, f32_to_f16 } from "./f16";
import { signed_absmax32 } from "./search";

export const BLOCK_SIZE_Q4_0: i32 = 32;
export const TYPE_SIZE_Q4_0: i32 = 18;

export function quantize_row_q4_0(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 128, y += 18) {
    const d = signed_absmax32(x) / -8;
    const id = f32x4.splat(d !== 0 ? 1 / d : 0);
    store<u16>(y, <u16>f32_to_f16(d));
    v128.store(y + 2, v128.or(to_u4(x, id), i8x16.shl(to_u4(x + 64, id), 4)));
  }
}

/** Sixteen floats at `x` times `id`, plus 8.5, cut to 0..15. */
function to_u4(x: usize, id: v128): v128 {
  const a = i16x8.narrow_i32x4_s(plus_8_5(x, id), plus_8_5(x + 16, id));
  const b = i16x8.narrow_i32x4_s(plus_8_5(x + 32, id), plus_8_5(x + 48, id));
  return i8x16.min_u(i8x16.narrow_i16x8_u(a, b), i8x16.splat(15));
}

function plus_8_5(x: usize, id: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.add(f32x4.mul(v128.load(x), id), f32x4.splat(8.5)));
}

export function dequantize_row_q4_0(x: usize, y: usize, n: i32): void {
  const low = i8x16.splat(15);
  const eight = i8x16.splat(8);
  for (const end = y + <usize>n * 4; y < end; x += 18, y += 128) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    const q = v128.load(x + 2);
    store_i8(y, d, i8x16.sub(v128.and(q, low), eight));
    store_i8(y + 64, d, i8x16.sub(i8x16.shr_u(q, 4), eight));
  }
}

/** Sixteen i8 times `d` as sixteen floats at `y`. */
function store_i8(y: usize, d: v128, q: v128): void {
  const a = i16x8.extend_low_i8x16_s(q);
  const b = i16x8.extend_high_i8x16_s(q);
  v128.store(y, f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(a))));
  v128.store(y, f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(a))), 16);
  v128.store(y, f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(b))), 32);
  v128.store(y, f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(b))), 48);
}
