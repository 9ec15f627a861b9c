// Groups of four weights and eight levels, 0..7: the codebooks of IQ3 (codebook.ts).

import { ON_GRID } from "./codebook";
import { cut, HALF, halves, lane_of, ONE, plain, ROUND, rounded_by, SEVEN, SHORT } from "./rounding";
import { ISCALES, ROOTS, SCALES, set_final, set_fours, X } from "./search_iq";

/** Rounds group k to entries under the scales of four columns (set_values): of the first `lanes` of them, or with -1 of the last alone. */
export function round_4(book: usize, codes: usize, k: usize, column: usize, lanes: i32): void {
  const octal = places_of(k, column);
  const none = i32x4.splat(with_code(codes, 0));
  let entries = none;
  // Scales that lie close together often round to the same point, whose neighbours are then tried under all four.
  let point = lanes < 0 ? i32x4.extract_lane(octal, 3) : i32x4.extract_lane(octal, 0);
  for (let open: i32 = lanes < 0 ? 8 : (1 << lanes) - 1; ; point = lane_of(octal, ctz(open))) {
    const here = i32x4.eq(octal, i32x4.splat(point));
    const value = load<u32>(book + <usize>point * 4);
    const found =
      value >= ON_GRID
        ? i32x4.splat(value & ~ON_GRID)
        : nearest_4(book, value, X + k * 16, ROOTS + k * 16, none);
    entries = v128.bitselect(found, entries, here);
    open &= ~i32x4.bitmask(here);
    if (open === 0) break;
  }
  if (lanes < 0) set_final(k, entries);
  else set_fours(k, column, entries);
}

/** Where in the table the values of group k are under the scales of four columns. */
function places_of(k: usize, column: usize): v128 {
  const iscales = v128.load(ISCALES + column * 4);
  return load<u32>(SHORT) ? tame_points(iscales, X + k * 16) : points(iscales, X + k * 16);
}

/** Of the four values at `x`: in the short lists where none is near the middle of two levels. */
function tame_points(iscales: v128, x: usize): v128 {
  const half = v128.load(HALF);
  const round = v128.load(ROUND);
  const lowest = v128.load(LOWEST);
  const highest = v128.load(HIGHEST);
  // As halves() has it: halving changes no digits.
  const scales = f32x4.mul(iscales, half);
  const v0 = f32x4.sub(f32x4.mul(scales, v128.load32_splat(x)), half);
  const v1 = f32x4.sub(f32x4.mul(scales, v128.load32_splat(x, 4)), half);
  const v2 = f32x4.sub(f32x4.mul(scales, v128.load32_splat(x, 8)), half);
  const v3 = f32x4.sub(f32x4.mul(scales, v128.load32_splat(x, 12)), half);
  const r0 = f32x4.add(v0, round);
  const r1 = f32x4.add(v1, round);
  const r2 = f32x4.add(v2, round);
  const r3 = f32x4.add(v3, round);
  let octal = i32x4.min_s(i32x4.max_s(r3, lowest), highest);
  octal = i32x4.add(i32x4.shl(octal, 3), i32x4.min_s(i32x4.max_s(r2, lowest), highest));
  octal = i32x4.add(i32x4.shl(octal, 3), i32x4.min_s(i32x4.max_s(r1, lowest), highest));
  octal = i32x4.add(i32x4.shl(octal, 3), i32x4.min_s(i32x4.max_s(r0, lowest), highest));
  octal = i32x4.sub(octal, v128.load(LOWEST_OCTAL));
  const off = f32x4.pmax(
    f32x4.pmax(rounded_by(v0, r0, round), rounded_by(v1, r1, round)),
    f32x4.pmax(rounded_by(v2, r2, round), rounded_by(v3, r3, round)),
  );
  return v128.or(octal, v128.and(plain(off), v128.load(SHORT)));
}

/** The bits of levels 0 and 7 with ROUND added, and what four of the first come to in octal. */
const LOWEST: usize = memory.data<i32>([0x4b400000, 0x4b400000, 0x4b400000, 0x4b400000], 16);
const HIGHEST: usize = memory.data<i32>([0x4b400007, 0x4b400007, 0x4b400007, 0x4b400007], 16);
const LOWEST_OCTAL: usize = memory.data<u32>([0xf5400000, 0xf5400000, 0xf5400000, 0xf5400000], 16);

/** The same of the whole lists, for values of any size. */
function points(iscales: v128, x: usize): v128 {
  let octal = i32x4.splat(0);
  for (let i: usize = 16; i > 0; i -= 4) {
    const v = halves(iscales, v128.load32_splat(x + i - 4), v128.load(ONE), v128.load(HALF));
    octal = v128.or(i32x4.shl(octal, 3), cut(f32x4.add(v, v128.load(ROUND)), SEVEN));
  }
  return octal;
}

/** An entry with the levels of `codes` in the upper half, as the lists have it. */
function with_code(codes: usize, entry: u32): u32 {
  return entry | ((<u32>load<u16>(codes + ((<usize>entry) << 1))) << 16);
}

/** What each level stands for under the four scales of the columns at hand: 2 level + 1 times the scale. */
const VALUES: usize = memory.data(128, 16);

/** For round_4 under the scales of four columns. */
export function set_values(column: usize): void {
  const scale = v128.load(SCALES + column * 4);
  for (let level: usize = 0; level < 8; level++) {
    v128.store(VALUES + level * 16, f32x4.mul(scale, f32x4.splat(<f32>(<i32>level * 2 + 1))));
  }
}

/**
 * With each of the four scales the neighbour with the least sum of w * (scale * odd - x)² over the four floats at `x`, the
 * first of equals; OFF is set, and `none` where there is none. `value` is the table's for the point.
 */
function nearest_4(book: usize, value: u32, x: usize, w: usize, none: v128): v128 {
  const x0 = v128.load32_splat(x);
  const x1 = v128.load32_splat(x, 4);
  const x2 = v128.load32_splat(x, 8);
  const x3 = v128.load32_splat(x, 12);
  const w0 = v128.load32_splat(w);
  const w1 = v128.load32_splat(w, 4);
  const w2 = v128.load32_splat(w, 8);
  const w3 = v128.load32_splat(w, 12);
  let least = f32x4.splat(f32.MAX_VALUE);
  let entries = none;
  const first = book + 4096 * 8 + (value >> 8) * 16;
  for (let place = first, end = first + (value & 255) * 16; place < end; place += 16) {
    let d = term(load<u8>(place), x0, w0);
    let e = term(load<u8>(place, 8), x0, w0);
    d = f32x4.add(d, term(load<u8>(place, 1), x1, w1));
    e = f32x4.add(e, term(load<u8>(place, 9), x1, w1));
    d = f32x4.add(d, term(load<u8>(place, 2), x2, w2));
    e = f32x4.add(e, term(load<u8>(place, 10), x2, w2));
    d = f32x4.add(d, term(load<u8>(place, 3), x3, w3));
    e = f32x4.add(e, term(load<u8>(place, 11), x3, w3));
    let nearer = f32x4.lt(d, least);
    least = f32x4.pmin(least, d);
    entries = v128.bitselect(v128.load32_splat(place, 4), entries, nearer);
    nearer = f32x4.lt(e, least);
    least = f32x4.pmin(least, e);
    entries = v128.bitselect(v128.load32_splat(place, 12), entries, nearer);
  }
  return entries;
}

/** `level` times 16 */
function term(level: usize, x: v128, w: v128): v128 {
  const difference = f32x4.sub(v128.load(VALUES + level), x);
  return f32x4.mul(f32x4.mul(w, difference), difference);
}
