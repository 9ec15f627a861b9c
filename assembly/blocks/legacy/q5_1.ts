// Q5_1: 32 weights in 24 bytes.   0: d f16   2: m f16   4: u32, bit j = fifth bit of weight j
//   8: 16 bytes, low nibble = weight j, high nibble = weight j + 16
//   weight = d * q + m
// The quants are chosen with the f32 scale; d is rounded to f16 only when stored, as in ggml. Where d is so small that
// 1 / d overflows, the quants are 0: what ggml's cast of an infinity or NaN to an integer gives on x86.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { max32, min32, sum_squares } from "../../search/search";
import { search_eight } from "../../search/search_qkx3";
import { LEVELS, MINS, SCALES } from "../k/superblock";
import { cut_u8, load_high_u5, load_low_u5, store_scaled_plus, store_u5 } from "../pack";

export const BLOCK_SIZE_Q5_1: i32 = 32;
export const TYPE_SIZE_Q5_1: i32 = 24;

export function quantize_row_q5_1(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 128, y += 24) {
    const min = min32(x);
    const d = (max32(x) - min) / 31;
    const id: f32 = d !== 0 ? 1 / d : 0;
    store<u16>(y, <u16>f32_to_f16(d));
    store<u16>(y, <u16>f32_to_f16(min), 2);
    if (id === Infinity) {
      memory.fill(y + 4, 0, 20);
      continue;
    }
    const m = f32x4.splat(min);
    store_u5(y + 4, to_u5(x, m, f32x4.splat(id)), to_u5(x + 64, m, f32x4.splat(id)));
  }
}

/** Sixteen floats at `x` less `min`, times `id`, plus one half, cut; at most 31, as the largest comes to 31.5. */
function to_u5(x: usize, min: v128, id: v128): v128 {
  return cut_u8(
    scaled(x, min, id),
    scaled(x + 16, min, id),
    scaled(x + 32, min, id),
    scaled(x + 48, min, id),
  );
}

function scaled(x: usize, min: v128, id: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), min), id), f32x4.splat(0.5));
}

/** One row of `n` with an importance matrix: `w` has a weight for each column. The quants are those of the search. */
export function quantize_row_q5_1_weighted(x: usize, y: usize, n: i32, w: usize): void {
  const sigma2 = sum_squares(x, n) / <f32>n;
  for (const end = x + <usize>n * 4; x < end; x += 1024, w += 1024) {
    const length = min<usize>(end - x, 1024);
    search_eight(x, w, length, sigma2, 31);
    for (let k: usize = 0; k * 32 < length; k += 4, y += 24) {
      const q = LEVELS + k * 8;
      store<u16>(y, <u16>f32_to_f16(load<f32>(SCALES + k)));
      store<u16>(y, <u16>f32_to_f16(-load<f32>(MINS + k)), 2);
      store_u5(y + 4, v128.load(q), v128.load(q, 16));
    }
  }
}

export function dequantize_row_q5_1(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 24, y += 128) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    const m = f32x4.splat(f16_to_f32(load<u16>(x, 2)));
    store_scaled_plus(y, load_low_u5(x + 4), d, m);
    store_scaled_plus(y + 64, load_high_u5(x + 4), d, m);
  }
}
