// The search of a sub-block of IQ2 and IQ3: a scale, and an entry of the codebook for each group of weights.
import { nearest_int } from "../blocks/k/superblock";
import { round_4, set_values } from "./nearest_4";
import { round_8 } from "./nearest_8";
import { round_8_alone } from "./nearest_8_alone";
import { SHORT, TAME } from "./rounding";
import {
  any_off,
  begin_sums,
  best_column,
  copy_to_final,
  FINAL,
  farthest,
  fill_scales,
  fitted,
  ISCALES,
  is_off,
  SCALES,
  set_lowest,
  sum_final,
} from "./search_iq";

/** Which groups are rounded once more under the best scale: all in any case, or if one was off the grid all or these. */
export const ALWAYS_ALL: i32 = 0;
export const ALL: i32 = 1;
export const THOSE_OFF: i32 = 2;

/**
 * Searches the `n` weights of X and W in groups of `size`. Candidates map `most` to `top` + step * -reach..reach.
 * The book's neighbours of groups of eight may stand `alone`. Returns the scale, `start` when no candidate gains; the entries are FINAL's. It may be negative by a hair's breadth: then
 * its magnitude is stored and all signs are turned.
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
  alone: bool = false,
): f32 {
  const groups = n / size;
  const count = 2 * reach + 1;
  fill_scales(top, reach, step, most);
  const tame = TAME / farthest(n);
  const points: i32 = size === 8 ? 6561 : 4096;
  // The last scale is the smallest.
  set_short(load<f32>(ISCALES + <usize>(count - 1) * 4) < tame ? points : 0);
  begin_sums(n);
  for (let c = 0; c < count; c += 4) {
    if (size === 4) set_values(c);
    for (let k: usize = 0; k < groups; k++) round(book, codes, size, k, c, min(4, count - c), alone);
  }
  const best = best_column(count);
  let scale = start;
  let repeat = again !== THOSE_OFF;
  if (best >= 0) {
    scale = fitted(best, start);
    copy_to_final(groups, best);
    repeat = again === ALWAYS_ALL || any_off(groups, best);
  } else {
    set_lowest(groups);
  }
  if (!(scale > 0 && repeat)) return scale;
  store<f32>(ISCALES + FINAL * 4, 1 / scale);
  store<f32>(SCALES + FINAL * 4, scale);
  set_short(1 / scale < tame ? points : 0);
  if (size === 4) set_values(FINAL - 3);
  for (let k: usize = 0; k < groups; k++) {
    if (again !== THOSE_OFF || is_off(k, FINAL)) round(book, codes, size, k, FINAL - 3, -1, alone);
  }
  sum_final(codes, n, size);
  return fitted(FINAL, scale);
}

function set_short(points: i32): void {
  v128.store(SHORT, i32x4.splat(points));
}

/** Rounds group k under the scales of four columns: of the first `lanes` of them, or with -1 of the last alone. */
function round(
  book: usize,
  codes: usize,
  size: usize,
  k: usize,
  column: usize,
  lanes: i32,
  alone: bool,
): void {
  if (alone) round_8_alone(book, codes, k, column, lanes);
  else if (size === 8) round_8(book, codes, k, column, lanes);
  else round_4(book, codes, k, column, lanes);
}

/** The scale as a small number 0..top: the scales are odd multiples of d, whose inverse is `id`. */
export function small_scale(id: f32, scale: f32, top: i32): u32 {
  return max(0, min(top, nearest_int(<f32>0.5 * (id * scale - 1))));
}

/** Those of the two scales at `scales`, four bits each, low nibble first. */
export function two_small_scales(id: f32, scales: usize): u32 {
  return small_scale(id, load<f32>(scales), 15) | (small_scale(id, load<f32>(scales, 4), 15) << 4);
}
