// The search of a sub-block of IQ2 and IQ3: a scale, and an entry of the codebook for each group of weights.
import { nearest_int } from "../blocks/k/superblock";
import { round_4 } from "./nearest_4";
import { round_8 } from "./nearest_8";
import {
  any_off,
  best_column,
  COLUMNS,
  copy_to_final,
  ENTRIES,
  FINAL,
  fill_scales,
  fitted,
  ISCALES,
  ODDS,
  SCALES,
  sum_up,
} from "./search_iq";

/** Which groups are rounded once more under the best scale: all in any case, or if one was off the grid all or these. */
export const ALWAYS_ALL: i32 = 0;
export const ALL: i32 = 1;
export const THOSE_OFF: i32 = 2;

/**
 * Searches the `n` weights of X and W in groups of `size`. Candidates map `most` to `top` + step * -reach..reach.
 * Returns the scale, 0 or more or NaN; `start` is what it is when no candidate gains. The entries are FINAL's; where the
 * result is negative (by a hair's breadth) all signs are to be turned.
 */
export function search_grid(
  book: usize,
  codes: usize,
  size: usize,
  n: usize,
  top: f32,
  reach: i32,
  step: f32,
  most: f32,
  start: f32,
  again: i32,
): f32 {
  const groups = n / size;
  fill_scales(top, reach, step, most);
  for (let c: usize = 0; c <= <usize>(2 * reach); c++) round(book, codes, size, groups, c, false);
  const best = best_column(n, 2 * reach + 1);
  let scale = start;
  if (best >= 0) {
    scale = fitted(best, start);
    copy_to_final(n, best);
  } else {
    lowest(n);
  }
  const off = best >= 0 ? any_off(best, groups) : again === ALL;
  if (scale > 0 && (off || again === ALWAYS_ALL)) {
    store<f32>(ISCALES + FINAL * 4, 1 / scale);
    store<f32>(SCALES + FINAL * 4, scale);
    round(book, codes, size, groups, FINAL, again === THOSE_OFF);
    sum_up(n, FINAL - 3);
    scale = fitted(FINAL, scale);
  }
  return scale;
}

function round(book: usize, codes: usize, size: usize, groups: usize, column: usize, off_only: bool): void {
  if (size === 8) round_8(book, codes, groups, column, off_only);
  else round_4(book, codes, groups, column, off_only);
}

/** FINAL is entry 0, the lowest levels. */
function lowest(n: usize): void {
  for (let i: usize = 0; i < n; i++) store<u8>(ODDS + i * COLUMNS + FINAL, 1);
  v128.store(ENTRIES + FINAL * 16, i32x4.splat(0));
}

/** The scale as a small number 0..top: the scales are odd multiples of d, whose inverse is `id`. */
export function small_scale(id: f32, scale: f32, top: i32): u32 {
  return max(0, min(top, nearest_int(<f32>0.5 * (id * scale - 1))));
}
