// IQ3_XXS: 256 weights in 98 bytes, in 8 sub-blocks of 32.   0: d f16   2: 64 × u8, entries of IQ3XXS_GRID
//   66: u32 for each sub-block, bits 7 j..7 j + 6 = signs of weights 8 j..8 j + 6, upper four bits = scale
//   weight = d * (scale + 0.5) / 2 * level, negative where the sign is set;  the last of eight signs is even_signs'
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { build_codebook } from "../../search/codebook";
import { sum_squares } from "../../search/search";
import { search_grid, small_scale, THOSE_OFF } from "../../search/search_grid";
import {
  even_out,
  final_entry,
  largest,
  magnitudes,
  take_roots,
  turned,
  weigh,
  weigh_by_square,
} from "../../search/search_iq";
import { store_scaled } from "../pack";
import { even_signs, fours, negate } from "./iq";
import { IQ3XXS_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ3_XXS: i32 = 256;
export const TYPE_SIZE_IQ3_XXS: i32 = 98;

let book: usize = 0;
const SCALES: usize = memory.data(32, 16);

/** Below this magnitude a sub-block counts as zero. */
const EPSILON: f32 = 1e-8;

/** Writes the table that quantizing needs to `at`; returns its length in bytes. */
export function codebook_iq3_xxs(at: usize): usize {
  book = at;
  return build_codebook(IQ3XXS_GRID, 256, 4, 8, 2, at);
}

export function quantize_row_iq3_xxs(x: usize, y: usize, n: i32): void {
  quantize_row_iq3_xxs_weighted(x, y, n, 0);
}

/** With `w` 0 weights are x². */
export function quantize_row_iq3_xxs_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 98) {
    memory.fill(y, 0, 98);
    const sigma2: f32 = (2 * sum_squares(x, 256)) / 256;
    let most: f32 = 0;
    for (let k: usize = 0; k < 8; k++) {
      if (w) weigh(x + k * 128, w + k * 128, sigma2, 32);
      else weigh_by_square(x + k * 128, 0, 32);
      const scale = search(x + k * 128, y + k * 8 + 2, y + k * 4 + 66);
      store<f32>(SCALES + k * 4, scale);
      most = max(most, scale);
    }
    if (w) w += 1024;
    if (most === 0) {
      memory.fill(y, 0, 98);
      continue;
    }
    const d = most / 31;
    store<u16>(y, <u16>f32_to_f16(d * 1.0125));
    for (let k: usize = 0; k < 8; k++) {
      const scale = small_scale(1 / d, load<f32>(SCALES + k * 4), 15);
      store<u32>(y + k * 4, load<u32>(y + k * 4, 66) | (scale << 28), 66);
    }
  }
}

/** Writes a sub-block's entries to `q` and its signs to `bits`; returns its scale. */
function search(x: usize, q: usize, bits: usize): f32 {
  take_roots(32);
  let signs = even_out(x, 32, magnitudes(x, 32));
  const most = largest(32);
  if (most < EPSILON) return 0;
  const scale = search_grid(book, IQ3XXS_GRID, 4, 32, 15, 15, 0.2, most, most / 15, THOSE_OFF);
  signs = turned(signs, scale);
  for (let k: usize = 0; k < 8; k++) store<u8>(q + k, final_entry(k));
  const low = (signs & 127) | ((signs >> 1) & (127 << 7));
  store<u32>(bits, low | ((signs >> 2) & (127 << 14)) | ((signs >> 3) & (127 << 21)));
  return abs(scale);
}

export function dequantize_row_iq3_xxs(x: usize, y: usize, n: i32): void {
  const levels = i8x16(4, 12, 20, 28, 36, 44, 52, 62, 0, 0, 0, 0, 0, 0, 0, 0);
  for (const end = y + <usize>n * 4; y < end; x += 98) {
    const d = f16_to_f32(load<u16>(x));
    for (let k: usize = 0; k < 8; k++, y += 128) {
      const q = x + 2 + k * 8;
      const bits = load<u32>(x + 66 + k * 4);
      const signs = even_signs(bits);
      const db = f32x4.splat(d * (0.5 + <f32>(bits >> 28)) * 0.5);
      store_scaled(y, negate(fours(IQ3XXS_GRID, q, 0, levels), signs), db);
      store_scaled(y + 64, negate(fours(IQ3XXS_GRID, q + 4, 0, levels), signs >> 16), db);
    }
  }
}
