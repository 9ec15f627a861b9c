// Groups of eight weights and three levels, 0, 1 and 2: the codebooks of IQ1 and IQ2 (codebook.ts).

import { chosen, first_of_least, ON_GRID, terms } from "./codebook";
import { CLEAR, cut, HALF, HIGH_MIDDLE, halves, LOW_MIDDLE, ONE, ROUND, SHORT, THREE, TWO } from "./rounding";
import { ISCALES, OFF, ROOTS, SCALES, set_eights, set_final, X } from "./search_iq";

/** Number of the point of eight levels, two bits each in `code`. */
export function point_of_code(code: u32): u32 {
  let point: u32 = 0;
  for (let i = 14; i >= 0; i -= 2) point = point * 3 + ((code >> i) & 3);
  return point;
}

/** Rounds group k to entries under the scales of four columns: of the first `lanes` of them, or with -1 of the last alone. */
export function round_8(book: usize, codes: usize, k: usize, column: usize, lanes: i32): void {
  const at = places_of(k, column);
  let entries = i32x4.splat(0);
  if (lanes > 0)
    entries = i32x4.replace_lane(entries, 0, entry_of(book, i32x4.extract_lane(at, 0), k, column));
  if (lanes > 1)
    entries = i32x4.replace_lane(entries, 1, entry_of(book, i32x4.extract_lane(at, 1), k, column + 1));
  if (lanes > 2)
    entries = i32x4.replace_lane(entries, 2, entry_of(book, i32x4.extract_lane(at, 2), k, column + 2));
  if (lanes < 0 || lanes > 3) {
    entries = i32x4.replace_lane(entries, 3, entry_of(book, i32x4.extract_lane(at, 3), k, column + 3));
  }
  if (lanes < 0) set_final(k, entries);
  else set_eights(codes, k, column, entries);
}

/** Where in the table the values of group k are under the scales of four columns. */
export function places_of(k: usize, column: usize): v128 {
  const iscales = v128.load(ISCALES + column * 4);
  return load<u32>(SHORT) ? tame_points(iscales, X + k * 32) : points(iscales, X + k * 32);
}

/** Where in the table the eight values at `x` are under four scales: in the short lists where none is near the middle of two levels. */
function tame_points(iscales: v128, x: usize): v128 {
  const one = v128.load(ONE);
  const three = v128.load(THREE);
  const low = v128.load(LOW_MIDDLE);
  const high = v128.load(HIGH_MIDDLE);
  let point = i32x4.splat(0);
  let clear = one;
  for (let i: usize = 32; i > 0; i -= 4) {
    // Halves of odd values less one: half of 2 goes down to the even 0, and one and a half up to 2.
    const odd = f32x4.mul(iscales, v128.load32_splat(x + i - 4));
    const levels = i32x4.add(f32x4.gt(odd, low), f32x4.ge(odd, high));
    clear = f32x4.pmin(clear, f32x4.abs(f32x4.sub(f32x4.abs(f32x4.sub(odd, three)), one)));
    point = i32x4.sub(i32x4.add(i32x4.add(point, point), point), levels);
  }
  return i32x4.add(point, v128.and(f32x4.gt(clear, v128.load(CLEAR)), v128.load(SHORT)));
}

/** The same of the whole lists, for values of any size. */
function points(iscales: v128, x: usize): v128 {
  const one = v128.load(ONE);
  const half = v128.load(HALF);
  const round = v128.load(ROUND);
  let point = i32x4.splat(0);
  for (let i: usize = 32; i > 0; i -= 4) {
    const r = f32x4.add(halves(iscales, v128.load32_splat(x + i - 4), one, half), round);
    point = i32x4.add(i32x4.add(i32x4.add(point, point), point), cut(r, TWO));
  }
  return point;
}

/** `at` is where in the table. */
function entry_of(book: usize, at: u32, k: usize, column: usize): u32 {
  const value = load<u32>(book + <usize>at * 4);
  if (value >= ON_GRID) return value & 0xffff;
  const odds = f32x4.mul(v128.load32_splat(SCALES + column * 4), f32x4(1, 3, 5, 0));
  return OFF | nearest_8(book, value, X + k * 32, ROOTS + k * 32, odds);
}

/**
 * The neighbour with the least sum of w * (value - x)² over the eight floats at `x`, the first of equals. `value` is the
 * table's for the point, `values` what the levels 0, 1 and 2 stand for.
 */
export function nearest_8(book: usize, value: u32, x: usize, w: usize, values: v128): u32 {
  const t0 = terms(x, w, values);
  const t1 = terms(x + 4, w + 4, values);
  const t2 = terms(x + 8, w + 8, values);
  const t3 = terms(x + 12, w + 12, values);
  const t4 = terms(x + 16, w + 16, values);
  const t5 = terms(x + 20, w + 20, values);
  const t6 = terms(x + 24, w + 24, values);
  const t7 = terms(x + 28, w + 28, values);
  const first = book + 6561 * 8 + (value >> 8) * 16;
  let least = f32x4.splat(f32.MAX_VALUE);
  let at = i32x4.splat(0);
  let here = i32x4.splat(0);
  const step = i32x4.splat(16);
  for (let r = first, end = first + (value & 255) * 16; r < end; r += 16) {
    let d = chosen(t0, load<u8>(r));
    d = f32x4.add(d, chosen(t1, load<u8>(r, 1)));
    d = f32x4.add(d, chosen(t2, load<u8>(r, 2)));
    d = f32x4.add(d, chosen(t3, load<u8>(r, 3)));
    d = f32x4.add(d, chosen(t4, load<u8>(r, 4)));
    d = f32x4.add(d, chosen(t5, load<u8>(r, 5)));
    d = f32x4.add(d, chosen(t6, load<u8>(r, 6)));
    d = f32x4.add(d, chosen(t7, load<u8>(r, 7)));
    const nearer = f32x4.lt(d, least);
    least = f32x4.pmin(least, d);
    at = v128.bitselect(here, at, nearer);
    here = i32x4.add(here, step);
  }
  return first_of_least(first + 8, least, at);
}
