// IQ4_XS: 256 weights in 136 bytes, in 8 sub-blocks of 32 with scales of 6 bits.
//   0: d f16   2: u16, upper two bits of scale k at bit 2 k   4: 4 bytes, lower four bits of scales, low nibble first
//   8: 16 bytes for each sub-block, low nibble = weight j, high nibble = weight j + 16
//   weight = d * (scale - 32) * LEVEL[q],  levels as in IQ4_NL
// Each sub-block's scale is searched, with weights x² or from the importance matrix, then all are rounded to multiples
// of d. The quants are chosen with the f32 d; it is rounded to f16 only when stored, as in ggml.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { sum_squares } from "../../search/search";
import { IQ4_LEVELS, iq4_quants, search_iq4, square32, weigh32 } from "../../search/search_32";
import { nearest_int } from "../k/superblock";
import { join_nibbles, store_scaled } from "../pack";

export const BLOCK_SIZE_IQ4_XS: i32 = 256;
export const TYPE_SIZE_IQ4_XS: i32 = 136;

const WEIGHTS: usize = memory.data(128, 16);
const SCALES: usize = memory.data(32, 16);

export function quantize_row_iq4_xs(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 136) {
    for (let k: usize = 0; k < 8; k++) {
      square32(x + k * 128, WEIGHTS);
      store<f32>(SCALES + k * 4, search_iq4(x + k * 128, WEIGHTS));
    }
    store_block(x, y);
  }
}

export function quantize_row_iq4_xs_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 136, w += 1024) {
    const sigma2: f32 = sum_squares(x, 256) * (2.0 / 256);
    for (let k: usize = 0; k < 8; k++) {
      weigh32(x + k * 128, w + k * 128, sigma2, WEIGHTS);
      store<f32>(SCALES + k * 4, search_iq4(x + k * 128, WEIGHTS));
    }
    store_block(x, y);
  }
}

/** Rounds SCALES, the largest magnitude to -32, and writes the block. */
function store_block(x: usize, y: usize): void {
  const d = signed_absmax8(SCALES) / -32;
  const id: f32 = d !== 0 ? 1 / d : 0;
  let low: u32 = 0;
  let high: u32 = 0;
  for (let k: usize = 0; k < 8; k++) {
    const scale = max(-32, min(31, nearest_int(id * load<f32>(SCALES + k * 4))));
    const dl = d * <f32>scale;
    const idl = f32x4.splat(dl !== 0 ? 1 / dl : 0);
    const sub = x + k * 128;
    v128.store(y + k * 16, join_nibbles(iq4_quants(sub, idl), iq4_quants(sub + 64, idl)), 8);
    low |= ((scale + 32) & 15) << (<u32>k * 4);
    high |= ((scale + 32) >> 4) << (<u32>k * 2);
  }
  store<u16>(y, <u16>f32_to_f16(d));
  store<u16>(y, <u16>high, 2);
  store<u32>(y, low, 4);
}

/** The first of the eight floats at `x` whose magnitude no other exceeds. */
function signed_absmax8(x: usize): f32 {
  let extreme: f32 = 0;
  for (const end = x + 32; x < end; x += 4) {
    if (abs(load<f32>(x)) > abs(extreme)) extreme = load<f32>(x);
  }
  return extreme;
}

export function dequantize_row_iq4_xs(x: usize, y: usize, n: i32): void {
  const levels = v128.load(IQ4_LEVELS);
  for (const end = y + <usize>n * 4; y < end; x += 136) {
    const d = f16_to_f32(load<u16>(x));
    const high = <u32>load<u16>(x, 2);
    const low = load<u32>(x, 4);
    for (let k: u32 = 0; k < 8; k++, y += 128) {
      const scale = <i32>(((low >> (k * 4)) & 15) | (((high >> (k * 2)) & 3) << 4)) - 32;
      const dl = f32x4.splat(d * <f32>scale);
      const q = v128.load(x + k * 16, 8);
      store_scaled(y, i8x16.swizzle(levels, v128.and(q, i8x16.splat(15))), dl);
      store_scaled(y + 64, i8x16.swizzle(levels, i8x16.shr_u(q, 4)), dl);
    }
  }
}
