// TQ2_0: 256 weights in 66 bytes, for weights of three values.   0: 64 bytes of q, two bits each   64: d f16
//   weight = d * (q - 1),  q = 0, 1 or 2
//   byte 32 h + m holds weights 128 h + m, 32, 64 and 96 further, lowest bits first
// Where the largest magnitude is so small that its inverse overflows, all weights become 0, as ggml's do on x86.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { absmax256 } from "../../search/search";
import { store_scaled, to_i8 } from "../pack";

export const BLOCK_SIZE_TQ2_0: i32 = 256;
export const TYPE_SIZE_TQ2_0: i32 = 66;

export function quantize_row_tq2_0(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; y += 66) {
    const d = absmax256(x);
    const inverse: f32 = 1 / d;
    const id = f32x4.splat(inverse < Infinity ? inverse : 0);
    store<u16>(y, <u16>f32_to_f16(d), 64);
    for (let half: usize = 0; half < 64; half += 32, x += 512) {
      v128.store(y + half, pack4(x, id));
      v128.store(y + half, pack4(x + 64, id), 16);
    }
  }
}

/** Four times sixteen weights, 32 apart, as sixteen bytes. */
function pack4(x: usize, id: v128): v128 {
  const a = v128.or(trits(x, id), i16x8.shl(trits(x + 128, id), 2));
  const b = v128.or(i16x8.shl(trits(x + 256, id), 4), i16x8.shl(trits(x + 384, id), 6));
  return v128.or(a, b);
}

function trits(x: usize, id: v128): v128 {
  return i8x16.add(to_i8(x, id), i8x16.splat(1));
}

export function dequantize_row_tq2_0(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 66) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x, 64)));
    for (let half: usize = 0; half < 64; half += 32, y += 512) {
      unpack4(v128.load(x + half), y, d);
      unpack4(v128.load(x + half, 16), y + 64, d);
    }
  }
}

/** What pack4 made, as floats from `y` on. */
function unpack4(q: v128, y: usize, d: v128): void {
  for (let i = 0; i < 4; i++, y += 128) {
    const two = v128.and(i8x16.shr_u(q, i * 2), i8x16.splat(3));
    store_scaled(y, i8x16.sub(two, i8x16.splat(1)), d);
  }
}
