// IQ2_XS: 256 weights in 74 bytes, in 16 sub-blocks of 16.
//   0: d f16   2: 32 × u16, lower nine bits = entry of IQ2XS_GRID, upper seven = its signs   66: 8 bytes of scales,
//   four bits each, low nibble first
//   weight = d * (scale + 0.5) / 4 * level, negative where the sign is set;  the last of eight signs is even_signs'
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { build_codebook } from "../../search/codebook";
import { sum_squares } from "../../search/search";
import { search_grid, THOSE_OFF, two_small_scales } from "../../search/search_grid";
import {
  even_out,
  final_entry,
  largest,
  magnitudes,
  take_roots,
  turned,
  weigh,
} from "../../search/search_iq";
import { EPSILON } from "../k/tiles";
import { store_scaled } from "../pack";
import { eights, even_signs, iq2_levels, negate } from "./iq";
import { IQ2XS_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ2_XS: i32 = 256;
export const TYPE_SIZE_IQ2_XS: i32 = 74;

let book: usize = 0;
const SCALES: usize = memory.data(64, 16);

/** Writes the table that quantizing needs to `at`; returns its length in bytes. */
export function codebook_iq2_xs(at: usize): usize {
  book = at;
  return build_codebook(IQ2XS_GRID, 512, 8, 3, 2, at);
}

/** As if every column were of the same importance: ggml asks for an importance matrix. */
export function quantize_row_iq2_xs(x: usize, y: usize, n: i32): void {
  quantize_row_iq2_xs_weighted(x, y, n, 0);
}

export function quantize_row_iq2_xs_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 74) {
    memory.fill(y, 0, 74);
    const sigma2: f32 = sum_squares(x, 256) / 256;
    let most: f32 = 0;
    for (let k: usize = 0; k < 16; k++) {
      const scale = search(x + k * 64, w ? w + k * 64 : 0, sigma2, y + 2 + k * 4);
      store<f32>(SCALES + k * 4, scale);
      most = max(most, scale);
    }
    if (w) w += 1024;
    if (most === 0) {
      memory.fill(y, 0, 74);
      continue;
    }
    const d = most / 31;
    store<u16>(y, <u16>f32_to_f16(d));
    for (let k: usize = 0; k < 8; k++) {
      store<u8>(y + k, two_small_scales(1 / d, SCALES + k * 8), 66);
    }
  }
}

/** Writes a sub-block but for its scale, which it returns. */
function search(x: usize, w: usize, sigma2: f32, y: usize): f32 {
  weigh(x, w, sigma2, 16);
  take_roots(16);
  let signs = even_out(x, 16, magnitudes(x, 16));
  const most = largest(16);
  if (most < EPSILON) return 0;
  const scale = search_grid(book, IQ2XS_GRID, 8, 16, 5, 9, 0.1, most, most / 5, THOSE_OFF);
  signs = turned(signs, scale);
  store<u16>(y, final_entry(0) | ((signs & 127) << 9));
  store<u16>(y, final_entry(1) | (((signs >> 8) & 127) << 9), 2);
  return abs(scale);
}

export function dequantize_row_iq2_xs(x: usize, y: usize, n: i32): void {
  const levels = iq2_levels();
  for (const end = y + <usize>n * 4; y < end; x += 74) {
    const d = f16_to_f32(load<u16>(x));
    for (let k: usize = 0; k < 8; k++, y += 128) {
      const scales = <u32>load<u8>(x + 66 + k);
      restore(y, load<u32>(x + 2 + k * 8), d * (0.5 + <f32>(scales & 15)) * 0.25, levels);
      restore(y + 64, load<u32>(x + 6 + k * 8), d * (0.5 + <f32>(scales >> 4)) * 0.25, levels);
    }
  }
}

/** The sixteen weights of two entries with their signs, at `y`. */
function restore(y: usize, q: u32, db: f32, levels: v128): void {
  const signs = even_signs(((q >> 9) & 0x7f) | ((q >> 25) << 7));
  const level = eights(IQ2XS_GRID, q & 511, (q >> 16) & 511, levels);
  store_scaled(y, negate(level, signs), f32x4.splat(db));
}
