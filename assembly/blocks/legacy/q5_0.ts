// Q5_0: 32 weights in 22 bytes.   0: d f16   2: u32, bit j = fifth bit of weight j
//   6: 16 bytes, low nibble = weight j, high nibble = weight j + 16
//   weight = d * (q - 16)
// The quants are chosen with the f32 scale; d is rounded to f16 only when stored, as in ggml. Where d is so small that
// 1 / d overflows, the quants are 0: what ggml's cast of an infinity or NaN to an integer gives on x86.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { signed_absmax32, sum_squares } from "../../search/search";
import { search_qx, weigh32 } from "../../search/search_32";
import { cut_u8, load_high_u5, load_low_u5, store_scaled, store_u5 } from "../pack";

export const BLOCK_SIZE_Q5_0: i32 = 32;
export const TYPE_SIZE_Q5_0: i32 = 22;

export function quantize_row_q5_0(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 128, y += 22) {
    const d = signed_absmax32(x) / -16;
    const id: f32 = d !== 0 ? 1 / d : 0;
    store<u16>(y, <u16>f32_to_f16(d));
    if (abs(id) === Infinity) {
      memory.fill(y + 2, 0, 20);
      continue;
    }
    store_u5(y + 2, to_u5(x, f32x4.splat(id)), to_u5(x + 64, f32x4.splat(id)));
  }
}

/** Sixteen floats at `x` times `id`, plus 16.5, cut to 0..31. */
function to_u5(x: usize, id: v128): v128 {
  const q = cut_u8(plus_16_5(x, id), plus_16_5(x + 16, id), plus_16_5(x + 32, id), plus_16_5(x + 48, id));
  return i8x16.min_u(q, i8x16.splat(31));
}

function plus_16_5(x: usize, id: v128): v128 {
  return f32x4.add(f32x4.mul(v128.load(x), id), f32x4.splat(16.5));
}

const WEIGHTS: usize = memory.data(128, 16);
const QUANTS: usize = memory.data(32, 16);

/** One row of `n` with an importance matrix: `w` has a weight for each column. The quants are those of the search. */
export function quantize_row_q5_0_weighted(x: usize, y: usize, n: i32, w: usize): void {
  const sigma2 = sum_squares(x, n) / <f32>n;
  for (const end = x + <usize>n * 4; x < end; x += 128, y += 22, w += 128) {
    weigh32(x, w, sigma2, WEIGHTS);
    const d = search_qx(x, WEIGHTS, 16, QUANTS);
    store<u16>(y, <u16>f32_to_f16(d));
    store_u5(y + 2, v128.load(QUANTS), v128.load(QUANTS, 16));
  }
}

export function dequantize_row_q5_0(x: usize, y: usize, n: i32): void {
  const sixteen = i8x16.splat(16);
  for (const end = y + <usize>n * 4; y < end; x += 22, y += 128) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    store_scaled(y, i8x16.sub(load_low_u5(x + 2), sixteen), d);
    store_scaled(y + 64, i8x16.sub(load_high_u5(x + 2), sixteen), d);
  }
}
