// Half-precision floats and bfloat16, to and from f32. Both round to nearest, ties to even; f16 overflows to
// infinity and keeps subnormals, bf16 keeps NaNs quiet: ggml_compute_fp32_to_fp16 and _bf16, bit for bit.
// The SIMD and the scalar versions are the same arithmetic.

export const BLOCK_SIZE_F32: i32 = 1;
export const TYPE_SIZE_F32: i32 = 4;
export const BLOCK_SIZE_F16: i32 = 1;
export const TYPE_SIZE_F16: i32 = 2;
export const BLOCK_SIZE_BF16: i32 = 1;
export const TYPE_SIZE_BF16: i32 = 2;

const EXPONENT_F32: u32 = 0x7f800000;
/** 2^112 moves an f16 exponent, placed in f32's field, to where f32 has it; subnormals come out normal. */
const TWO_112: u32 = 0x77800000;
const TWO_MINUS_110: u32 = 0x08800000;

/** The half nearest to `f`, in the low 16 bits. */
export function f32_to_f16(f: f32): u32 {
  const bits = reinterpret<u32>(f);
  // Scaling up and down overflows what f16 cannot hold, and cuts to the right exponent for subnormals.
  let base: f32 = abs(f) * reinterpret<f32>(TWO_112) * reinterpret<f32>(TWO_MINUS_110);
  const twice = bits + bits;
  let bias = twice & 0xff000000;
  if (bias < 0x71000000) bias = 0x71000000;
  base = reinterpret<f32>((bias >> 1) + 0x07800000) + base;
  const rounded = reinterpret<u32>(base);
  const half = ((rounded >> 13) & 0x7c00) + (rounded & 0x0fff);
  return ((bits >> 16) & 0x8000) | (twice > 0xff000000 ? 0x7e00 : half);
}

export function f16_to_f32(h: u32): f32 {
  const magnitude = (h & 0x7fff) << 13;
  const scaled = reinterpret<u32>(reinterpret<f32>(magnitude) * reinterpret<f32>(TWO_112));
  const special = magnitude >= 0x0f800000; // f16 infinity or NaN
  return reinterpret<f32>((special ? magnitude | EXPONENT_F32 : scaled) | ((h & 0x8000) << 16));
}

/** `f` rounded to the nearest half. */
export function round_f16(f: f32): f32 {
  return f16_to_f32(f32_to_f16(f));
}

export function quantize_row_f32(x: usize, y: usize, n: i32): void {
  memory.copy(y, x, <usize>n * 4);
}

export function dequantize_row_f32(x: usize, y: usize, n: i32): void {
  memory.copy(y, x, <usize>n * 4);
}

export function quantize_row_f16(x: usize, y: usize, n: i32): void {
  const end = x + <usize>n * 4;
  for (; x + 32 <= end; x += 32, y += 16) {
    v128.store(y, i16x8.narrow_i32x4_u(f16_of_f32x4(v128.load(x)), f16_of_f32x4(v128.load(x, 16))));
  }
  for (; x < end; x += 4, y += 2) store<u16>(y, <u16>f32_to_f16(load<f32>(x)));
}

export function f16_of_f32x4(f: v128): v128 {
  let base = f32x4.mul(f32x4.abs(f), f32x4.splat(reinterpret<f32>(TWO_112)));
  base = f32x4.mul(base, f32x4.splat(reinterpret<f32>(TWO_MINUS_110)));
  const twice = i32x4.add(f, f);
  const bias = i32x4.max_u(v128.and(twice, i32x4.splat(0xff000000)), i32x4.splat(0x71000000));
  base = f32x4.add(i32x4.add(i32x4.shr_u(bias, 1), i32x4.splat(0x07800000)), base);
  const exponent = v128.and(i32x4.shr_u(base, 13), i32x4.splat(0x7c00));
  const half = i32x4.add(exponent, v128.and(base, i32x4.splat(0x0fff)));
  const is_nan = i32x4.gt_u(twice, i32x4.splat(0xff000000));
  const sign = v128.and(i32x4.shr_u(f, 16), i32x4.splat(0x8000));
  return v128.or(sign, v128.bitselect(i32x4.splat(0x7e00), half, is_nan));
}

export function dequantize_row_f16(x: usize, y: usize, n: i32): void {
  const end = y + <usize>n * 4;
  for (; y + 32 <= end; x += 16, y += 32) {
    const h = v128.load(x);
    let low = finite_f16(i32x4.extend_low_i16x8_s(h));
    let high = finite_f16(i32x4.extend_high_i16x8_s(h));
    const special = i16x8.splat(0x7c00);
    if (v128.any_true(i16x8.eq(v128.and(h, special), special))) {
      low = with_specials(low);
      high = with_specials(high);
    }
    v128.store(y, low);
    v128.store(y, high, 16);
  }
  for (; y < end; x += 2, y += 4) store<f32>(y, f16_to_f32(load<u16>(x)));
}

/** Halves extended with their signs; of infinities and NaNs what `with_specials` takes. */
function finite_f16(h: v128): v128 {
  const signed = v128.and(i32x4.shl(h, 13), i32x4.splat(0x8fffe000));
  return f32x4.mul(signed, f32x4.splat(reinterpret<f32>(TWO_112)));
}

/** What came out beyond the greatest half was infinity or NaN. */
function with_specials(f: v128): v128 {
  const special = f32x4.ge(f32x4.abs(f), f32x4.splat(65536));
  return v128.or(f, v128.and(special, i32x4.splat(EXPONENT_F32)));
}

export function quantize_row_bf16(x: usize, y: usize, n: i32): void {
  const end = x + <usize>n * 4;
  for (; x + 32 <= end; x += 32, y += 16) {
    v128.store(y, i16x8.narrow_i32x4_u(to_bf16(v128.load(x)), to_bf16(v128.load(x, 16))));
  }
  for (; x < end; x += 4, y += 2) {
    const bits = load<u32>(x);
    const is_nan = (bits & 0x7fffffff) > EXPONENT_F32;
    store<u16>(y, <u16>(is_nan ? (bits >> 16) | 64 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16));
  }
}

function to_bf16(bits: v128): v128 {
  const high = i32x4.shr_u(bits, 16);
  const odd = v128.and(high, i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(bits, i32x4.splat(0x7fff)), odd), 16);
  const is_nan = i32x4.gt_u(v128.and(bits, i32x4.splat(0x7fffffff)), i32x4.splat(EXPONENT_F32));
  return v128.bitselect(v128.or(high, i32x4.splat(64)), rounded, is_nan);
}

export function dequantize_row_bf16(x: usize, y: usize, n: i32): void {
  const end = y + <usize>n * 4;
  for (; y + 32 <= end; x += 16, y += 32) {
    const b = v128.load(x);
    v128.store(y, i32x4.shl(i32x4.extend_low_i16x8_u(b), 16));
    v128.store(y, i32x4.shl(i32x4.extend_high_i16x8_u(b), 16), 16);
  }
  for (; y < end; x += 2, y += 4) store<u32>(y, (<u32>load<u16>(x)) << 16);
}
