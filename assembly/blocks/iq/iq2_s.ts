// IQ2_S: 256 weights in 82 bytes, in 16 sub-blocks of 16.
//   0: d f16   2: 32 × u8, lower eight bits of entries of IQ2S_GRID   34: 32 bytes of signs, lowest bit first
//   66: 8 bytes, upper two bits of entries, lowest first   74: 8 bytes of scales, four bits each, low nibble first
//   weight = d * (scale + 0.5) / 4 * level, negative where the sign is set
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { build_codebook } from "../../search/codebook";
import { sum_squares } from "../../search/search";
import { search_grid, THOSE_OFF, two_small_scales } from "../../search/search_grid";
import {
  final_entry,
  largest,
  magnitudes,
  take_roots,
  turned,
  weigh,
  weigh_by_square,
} from "../../search/search_iq";
import { store_scaled } from "../pack";
import { eights, iq2_levels, negate } from "./iq";
import { IQ2S_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ2_S: i32 = 256;
export const TYPE_SIZE_IQ2_S: i32 = 82;

let book: usize = 0;
const SCALES: usize = memory.data(64, 16);

/** Below this magnitude a sub-block counts as zero. */
const EPSILON: f32 = 1e-8;

/** Writes the table that quantizing needs to `at`; returns its length in bytes. */
export function codebook_iq2_s(at: usize): usize {
  book = at;
  return build_codebook(IQ2S_GRID, 1024, 8, 3, 1, at, true, true);
}

export function quantize_row_iq2_s(x: usize, y: usize, n: i32): void {
  quantize_row_iq2_s_weighted(x, y, n, 0);
}

/** With `w` 0 weights are x² and a quarter of sigma². */
export function quantize_row_iq2_s_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 82) {
    memory.fill(y, 0, 82);
    const sigma2: f32 = (2 * sum_squares(x, 256)) / 256;
    let most: f32 = 0;
    for (let k: usize = 0; k < 16; k++) {
      if (w) weigh(x + k * 64, w + k * 64, sigma2, 16);
      else weigh_by_square(x + k * 64, <f32>0.25 * sigma2, 16);
      const scale = search(x + k * 64, k, y);
      store<f32>(SCALES + k * 4, scale);
      most = max(most, scale);
    }
    if (w) w += 1024;
    if (most === 0) continue;
    const d = most / 31;
    store<u16>(y, <u16>f32_to_f16(d * 0.9875));
    for (let k: usize = 0; k < 8; k++) {
      store<u8>(y + k, two_small_scales(1 / d, SCALES + k * 8), 74);
    }
  }
}

/** Writes sub-block k of the block at `y` but for its scale, which it returns. */
function search(x: usize, k: usize, y: usize): f32 {
  take_roots(16);
  let signs = magnitudes(x, 16);
  const most = largest(16);
  if (most < EPSILON) return 0;
  const scale = search_grid(book, IQ2S_GRID, 8, 16, 5, 9, 0.1, most, most / 5, THOSE_OFF, true);
  signs = turned(signs, scale);
  const first = final_entry(0);
  const second = final_entry(1);
  store<u16>(y + k * 2, (first & 255) | ((second & 255) << 8), 2);
  store<u16>(y + k * 2, signs, 34);
  const high = ((first >> 8) | ((second >> 8) << 2)) << (<u32>(k & 1) * 4);
  store<u8>(y + (k >> 1), load<u8>(y + (k >> 1), 66) | high, 66);
  return abs(scale);
}

export function dequantize_row_iq2_s(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 82) {
    const d = f16_to_f32(load<u16>(x));
    for (let k: usize = 0; k < 8; k++, y += 128) {
      const q = x + 2 + k * 4;
      const high = <u32>load<u8>(x + 66 + k);
      const scales = <u32>load<u8>(x + 74 + k);
      restore(y, q, high, d * (0.5 + <f32>(scales & 15)) * 0.25);
      restore(y + 64, q + 2, high >> 4, d * (0.5 + <f32>(scales >> 4)) * 0.25);
    }
  }
}

/** The sixteen weights of the two entries at `q`, at `y`; their upper bits are the lower four of `high`. */
function restore(y: usize, q: usize, high: u32, db: f32): void {
  const i = <u32>load<u8>(q) | ((high & 3) << 8);
  const j = <u32>load<u8>(q, 1) | ((high & 12) << 6);
  const level = eights(IQ2S_GRID, i, j, iq2_levels());
  store_scaled(y, negate(level, load<u16>(q, 32)), f32x4.splat(db));
}
