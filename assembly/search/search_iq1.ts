// What the searches of IQ1_S and IQ1_M share. A weight is -1, 0 or 1, moved by an eighth up or down, times the scale.
// Sorted, the weights of a sub-block fall into three runs, so the best levels follow from the best two places to cut:
// all are tried, and each shift with them. Then each group of eight goes to an entry of the codebook.

import { IQ1S_GRID } from "../blocks/iq/iq_grids";
import { build_codebook, ON_GRID } from "./codebook";
import { nearest_8, point_of_code } from "./nearest_8";

/** What levels 0, 1 and 2 stand for when shifted up, and when shifted down. */
export const UP: usize = memory.data<f32>([-0.875, 0.125, 1.125, 0], 16);
export const DOWN: usize = memory.data<f32>([-1.125, -0.125, 0.875, 0], 16);

/** Places of the weights of a sub-block, least first; levels of the weights, two bits each. */
export const ORDER: usize = memory.data(32, 16);
const LEVELS: usize = memory.data(32, 16);

let book: usize = 0;

/** Writes the table that quantizing needs to `at`, once for both types; returns its length in bytes, then 0. */
export function codebook_iq1(at: usize): usize {
  if (book) return 0;
  book = at;
  return build_codebook(IQ1S_GRID, 2048, 8, 3, 3, at, false);
}

/** Fills ORDER for the `n` floats at `x`; equal ones keep their order. */
export function sort(x: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const value = load<f32>(x + i * 4);
    let j = i;
    for (; j > 0 && value < load<f32>(x + <usize>load<u8>(ORDER + j - 1) * 4); j--) {
      store<u8>(ORDER + j, load<u8>(ORDER + j - 1));
    }
    store<u8>(ORDER + j, i);
  }
}

/** Levels by two cuts in ORDER, the lowest first; mirrored when the scale is negative. */
export function set_levels(n: usize, first: usize, second: usize, mirrored: bool): void {
  for (let j: usize = 0; j < n; j++) {
    const level = j < first ? 0 : j < second ? 1 : 2;
    store<u8>(LEVELS + load<u8>(ORDER + j), mirrored ? 2 - level : level);
  }
}

/**
 * The entry for group `k` of the sub-block at `x`, weights at `w`, under a scale and a shift: that of its levels, or with
 * OFF the nearest of the neighbours.
 */
export function entry_of(k: usize, x: usize, w: usize, scale: f32, shift: usize): u32 {
  let code: u32 = 0;
  for (let i: usize = 0; i < 8; i++) code |= (<u32>load<u8>(LEVELS + k * 8 + i)) << (<u32>i * 2);
  const value = load<u32>(book + point_of_code(code) * 4);
  if (value >= ON_GRID) return value & 0xffff;
  const values = f32x4.mul(f32x4.splat(scale), v128.load(shift));
  return OFF | nearest_8(book, value, x + k * 32, w + k * 32, values);
}

export const OFF: u32 = 0x8000;

/** What level i of an entry stands for under a shift. */
export function value_of(entry: u32, i: u32, shift: usize): f32 {
  const code = <u32>load<u16>(IQ1S_GRID + <usize>(entry & ~OFF) * 2);
  return load<f32>(shift + <usize>((code >> (i * 2)) & 3) * 4);
}
