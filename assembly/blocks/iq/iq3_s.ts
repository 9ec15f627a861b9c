// IQ3_S: 256 weights in 110 bytes, in 8 sub-blocks of 32.
//   0: d f16   2: 64 × u8, lower eight bits of entries of IQ3S_GRID   66: 8 bytes, ninth bits of entries, lowest first
//   74: 32 bytes of signs, lowest bit first   106: 4 bytes of scales, four bits each, low nibble first
//   weight = d * (2 scale + 1) * level, negative where the sign is set
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { build_codebook } from "../../search/codebook";
import { sum_squares } from "../../search/search";
import { ALL, search_grid, two_small_scales } from "../../search/search_grid";
import {
  final_entry,
  largest as largest_of,
  magnitudes,
  take_roots,
  turned,
  weigh,
  weigh_by_square,
} from "../../search/search_iq";
import { store_scaled } from "../pack";
import { fours, negate } from "./iq";
import { IQ3S_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ3_S: i32 = 256;
export const TYPE_SIZE_IQ3_S: i32 = 110;

let book: usize = 0;
const SCALES: usize = memory.data(32, 16);

/** Writes the table that quantizing needs to `at`; returns its length in bytes. */
export function codebook_iq3_s(at: usize): usize {
  book = at;
  return build_codebook(IQ3S_GRID, 512, 4, 8, 3, at);
}

export function quantize_row_iq3_s(x: usize, y: usize, n: i32): void {
  quantize_row_iq3_s_weighted(x, y, n, 0);
}

/** With `w` 0 weights are x². */
export function quantize_row_iq3_s_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 110) {
    memory.fill(y, 0, 110);
    const sigma2: f32 = (2 * sum_squares(x, 256)) / 256;
    let most: f32 = 0;
    let place: usize = 0;
    for (let k: usize = 0; k < 8; k++) {
      if (w) weigh(x + k * 128, w + k * 128, sigma2, 32);
      else weigh_by_square(x + k * 128, 0, 32);
      take_roots(32);
      const signs = magnitudes(x + k * 128, 32);
      const largest = largest_of(32);
      store<f32>(SCALES + k * 4, 0);
      if (largest === 0) continue;
      const scale = search(largest, signs, k, place++, y);
      store<f32>(SCALES + k * 4, scale);
      most = max(most, scale);
    }
    if (w) w += 1024;
    if (most === 0) continue;
    const d = most / 31;
    store<u16>(y, <u16>f32_to_f16(d * 1.033));
    for (let k: usize = 0; k < 4; k++) {
      store<u8>(y + k, two_small_scales(1 / d, SCALES + k * 8), 106);
    }
  }
}

/**
 * Writes sub-block k of the block at `y` but for its scale, which it returns. Entries and signs go to `place`: as in
 * ggml, which does not leave room for sub-blocks of zeros, so that what stands behind one is read in its place.
 */
function search(largest: f32, signs: u32, k: usize, place: usize, y: usize): f32 {
  const scale = search_grid(book, IQ3S_GRID, 4, 32, 15, 9, 0.2, largest, largest / 15, ALL);
  signs = turned(signs, scale);
  let high: u32 = 0;
  for (let j: usize = 0; j < 8; j++) {
    const entry = final_entry(j);
    store<u8>(y + place * 8 + j, entry, 2);
    high |= (entry >> 8) << (<u32>j);
  }
  store<u8>(y + k, high, 66);
  store<u32>(y + place * 4, signs, 74);
  return abs(scale);
}

export function dequantize_row_iq3_s(x: usize, y: usize, n: i32): void {
  const levels = i8x16(1, 3, 5, 7, 9, 11, 13, 15, 0, 0, 0, 0, 0, 0, 0, 0);
  for (const end = y + <usize>n * 4; y < end; x += 110) {
    const d = f16_to_f32(load<u16>(x));
    const scales = load<u32>(x, 106);
    for (let k: u32 = 0; k < 8; k++, y += 128) {
      const q = x + 2 + k * 8;
      const high = <u32>load<u8>(x + 66 + k);
      const signs = load<u32>(x + 74 + k * 4);
      const db = f32x4.splat(d * <f32>(((scales >> (k * 4)) & 15) * 2 + 1));
      store_scaled(y, negate(fours(IQ3S_GRID, q, high, levels), signs), db);
      store_scaled(y + 64, negate(fours(IQ3S_GRID, q + 4, high >> 4, levels), signs >> 16), db);
    }
  }
}
