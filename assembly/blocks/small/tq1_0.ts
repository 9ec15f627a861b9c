// TQ1_0: 256 weights in 54 bytes, for weights of three values: five of them (trits) in a byte, as 3^5 < 256.
//   0: 48 bytes of 5 trits   48: 4 bytes of 4 trits   52: d f16
//   weight = d * (trit - 1)
//   byte m < 32 holds weights m, 32 further and so on; byte 32 + m weights 160 + m, 16 further and so on;
//   byte 48 + m weights 240 + m, 4 further and so on, and a last trit of 0
// The first trit is the highest digit. A byte is not the number t of its trits but 256 t / 243 rounded up: a fraction
// of 256, whose digits come out one by one as what multiplying by 3 carries out of the byte.
// Where the largest magnitude is so small that its inverse overflows, all weights become 0, as ggml's do on x86.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { absmax256 } from "../../search/search";
import { store_scaled, to_i8 } from "../pack";

export const BLOCK_SIZE_TQ1_0: i32 = 256;
export const TYPE_SIZE_TQ1_0: i32 = 54;

export function quantize_row_tq1_0(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 54) {
    const d = absmax256(x);
    const inverse: f32 = 1 / d;
    const id = f32x4.splat(inverse < Infinity ? inverse : 0);
    v128.store(y, number5(x, 128, id));
    v128.store(y, number5(x + 64, 128, id), 16);
    v128.store(y, number5(x + 640, 64, id), 32);
    store<u32>(y, number4(trits(x + 960, id)), 48);
    store<u16>(y, <u16>f32_to_f16(d), 52);
    for (let i: usize = 0; i < 52; i++) store<u8>(y + i, (<u32>load<u8>(y + i) * 256 + 242) / 243);
  }
}

/** The numbers 0..242 of sixteen times five trits, `stride` bytes of floats apart. */
function number5(x: usize, stride: usize, id: v128): v128 {
  let t = trits(x, id);
  for (let i: usize = 1; i < 5; i++) t = i8x16.add(triple(t), trits(x + i * stride, id));
  return t;
}

/** The same for four times four trits, each lane one digit, as the bytes of a u32. */
function number4(t: v128): u32 {
  const upper = i32x4.extract_lane(t, 0) * 3 + i32x4.extract_lane(t, 1);
  return ((upper * 3 + i32x4.extract_lane(t, 2)) * 3 + i32x4.extract_lane(t, 3)) * 3;
}

function trits(x: usize, id: v128): v128 {
  return i8x16.add(to_i8(x, id), i8x16.splat(1));
}

export function triple(t: v128): v128 {
  return i8x16.add(i8x16.add(t, t), t);
}

export function dequantize_row_tq1_0(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 54, y += 1024) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x, 52)));
    store_digits5(v128.load(x), y, 128, d);
    store_digits5(v128.load(x, 16), y + 64, 128, d);
    store_digits5(v128.load(x, 32), y + 640, 64, d);
    store_scaled(y + 960, first_digits(digits4(v128.load32_splat(x, 48))), d);
  }
}

function store_digits5(t: v128, y: usize, stride: usize, d: v128): void {
  for (let i = 0; i < 5; i++, y += stride, t = triple(t)) store_scaled(y, first_digits(t), d);
}

/** Lane i of the same four bytes times 3^i: first digits of these are digits i. */
export function digits4(t: v128): v128 {
  const t3 = triple(t);
  const t9 = triple(t3);
  return i64x2.shuffle(i32x4.shuffle(t, t3, 0, 4, 0, 4), i32x4.shuffle(t9, triple(t9), 0, 4, 0, 4), 0, 2);
}

/** What tripling carries out of each byte, less 1. */
export function first_digits(t: v128): v128 {
  const at_least_one = i8x16.ge_u(t, i8x16.splat(86));
  const two = i8x16.ge_u(t, i8x16.splat(<i8>171));
  return i8x16.sub(i8x16.splat(-1), i8x16.add(at_least_one, two));
}
