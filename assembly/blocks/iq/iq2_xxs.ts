// IQ2_XXS: 256 weights in 66 bytes, in 8 sub-blocks of 32.   0: d f16   2: 8 bytes for each sub-block:
//   0: 4 × u8, entries of IQ2XXS_GRID   4: u32, bits 7 j..7 j + 6 = signs of entry j, upper four bits = scale
//   weight = d * (scale + 0.5) / 4 * level, negative where the sign is set;  the last of eight signs is even_signs'
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { build_codebook } from "../../search/codebook";
import { sum_squares } from "../../search/search";
import { ALWAYS_ALL, search_grid, small_scale } from "../../search/search_grid";
import {
  even_out,
  final_entry,
  largest,
  magnitudes,
  take_roots,
  turned,
  W,
  weigh,
  X,
} from "../../search/search_iq";
import { make_qp_quants } from "../../search/search_qp";
import { EPSILON } from "../k/tiles";
import { store_scaled } from "../pack";
import { eights, even_signs, iq2_levels, negate } from "./iq";
import { IQ2XXS_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ2_XXS: i32 = 256;
export const TYPE_SIZE_IQ2_XXS: i32 = 66;

let book: usize = 0;
const SCALES: usize = memory.data(32, 16);
const LEVELS: usize = memory.data(32, 16);

/** Writes the table that quantizing needs to `at`; returns its length in bytes. */
export function codebook_iq2_xxs(at: usize): usize {
  book = at;
  return build_codebook(IQ2XXS_GRID, 256, 8, 3, 2, at);
}

/** As if every column were of the same importance: ggml asks for an importance matrix. */
export function quantize_row_iq2_xxs(x: usize, y: usize, n: i32): void {
  quantize_row_iq2_xxs_weighted(x, y, n, 0);
}

export function quantize_row_iq2_xxs_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 66) {
    memory.fill(y, 0, 66);
    const sigma2: f32 = sum_squares(x, 256) / 256;
    let most: f32 = 0;
    for (let k: usize = 0; k < 8; k++) {
      const scale = search(x + k * 128, w ? w + k * 128 : 0, sigma2, y + 2 + k * 8);
      store<f32>(SCALES + k * 4, scale);
      most = max(most, scale);
    }
    if (w) w += 1024;
    if (sigma2 === Infinity) most = Infinity; // squares that f32 cannot hold: what is written must read as no number
    if (most === 0) {
      memory.fill(y, 0, 66);
      continue;
    }
    const d = most / 31;
    store<u16>(y, <u16>f32_to_f16(d));
    for (let k: usize = 0; k < 8; k++) {
      const scale = small_scale(1 / d, load<f32>(SCALES + k * 4), 15);
      store<u32>(y + k * 8, load<u32>(y + k * 8, 6) | (scale << 28), 6);
    }
  }
}

/** Writes a sub-block but for its scale, which it returns. */
function search(x: usize, w: usize, sigma2: f32, y: usize): f32 {
  weigh(x, w, sigma2, 32);
  take_roots(32);
  let signs = even_out(x, 32, magnitudes(x, 32));
  if (largest(32) < EPSILON) return 0;
  const start = make_qp_quants(32, 4, X, W, LEVELS);
  const most = start * 3;
  if (most <= 0) return 0;
  const scale = search_grid(book, IQ2XXS_GRID, 8, 32, 5, 6, 0.1, most, start, ALWAYS_ALL);
  signs = turned(signs, scale);
  let bits: u32 = 0;
  for (let k: usize = 0; k < 4; k++) {
    store<u8>(y + k, final_entry(k));
    bits |= ((signs >> (<u32>k * 8)) & 127) << (<u32>k * 7);
  }
  store<u32>(y, bits, 4);
  return abs(scale);
}

export function dequantize_row_iq2_xxs(x: usize, y: usize, n: i32): void {
  const levels = iq2_levels();
  for (const end = y + <usize>n * 4; y < end; x += 66) {
    const d = f16_to_f32(load<u16>(x));
    for (let q = x + 2; q < x + 66; q += 8, y += 128) {
      const bits = load<u32>(q, 4);
      const signs = even_signs(bits);
      const db = f32x4.splat(d * (0.5 + <f32>(bits >> 28)) * 0.25);
      const low = eights(IQ2XXS_GRID, load<u8>(q), load<u8>(q, 1), levels);
      const high = eights(IQ2XXS_GRID, load<u8>(q, 2), load<u8>(q, 3), levels);
      store_scaled(y, negate(low, signs), db);
      store_scaled(y + 64, negate(high, signs >> 16), db);
    }
  }
}
