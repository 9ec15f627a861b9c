// Groups of four weights and eight levels, 0..7: the codebooks of IQ3 (codebook.ts).

import { ON_GRID } from "./codebook";
import { cut, HALF, halves, ONE, plain, ROUND, rounded_by, SEVEN, SHORT } from "./rounding";
import { ISCALES, ROOTS, SCALES, set_fours, X } from "./search_iq";

/** Rounds group k to entries under the scales of four columns (set_values): of the first `lanes` of them, or with -1 of the last alone. */
export function round_4(book: usize, codes: usize, k: usize, column: usize, lanes: i32): void {
  const iscales = v128.load(ISCALES + column * 4);
  const x = X + k * 16;
  const one = v128.load(ONE);
  const half = v128.load(HALF);
  const round = v128.load(ROUND);
  // x / scale is nearest to 2 level + 1.
  const v0 = halves(iscales, v128.load32_splat(x), one, half);
  const v1 = halves(iscales, v128.load32_splat(x, 4), one, half);
  const v2 = halves(iscales, v128.load32_splat(x, 8), one, half);
  const v3 = halves(iscales, v128.load32_splat(x, 12), one, half);
  const r0 = f32x4.add(v0, round);
  const r1 = f32x4.add(v1, round);
  const r2 = f32x4.add(v2, round);
  const r3 = f32x4.add(v3, round);
  let octal = cut(r3, SEVEN);
  octal = v128.or(i32x4.shl(octal, 3), cut(r2, SEVEN));
  octal = v128.or(i32x4.shl(octal, 3), cut(r1, SEVEN));
  octal = v128.or(i32x4.shl(octal, 3), cut(r0, SEVEN));
  const off = f32x4.max(
    f32x4.max(rounded_by(v0, r0, round), rounded_by(v1, r1, round)),
    f32x4.max(rounded_by(v2, r2, round), rounded_by(v3, r3, round)),
  );
  // Of the short list where no value is near the middle of two levels.
  octal = v128.or(octal, v128.and(plain(off), v128.load(SHORT)));
  const none = i32x4.splat(with_code(codes, 0));
  let entries = none;
  // Scales that lie close together often round to the same point, whose neighbours are then tried under all four.
  for (let open: i32 = lanes < 0 ? 8 : (1 << lanes) - 1; open !== 0; ) {
    const point = lane_of(octal, ctz(open));
    const here = i32x4.eq(octal, i32x4.splat(point));
    const value = load<u32>(book + <usize>point * 4);
    const found =
      value >= ON_GRID
        ? i32x4.splat(with_code(codes, value & 0xffff))
        : nearest_4(book, value, x, ROOTS + k * 16, none);
    entries = v128.bitselect(found, entries, here);
    open &= ~i32x4.bitmask(here);
  }
  set_fours(k, column, entries);
}

/** An entry with the levels of `codes` in the upper half, as the lists have it. */
function with_code(codes: usize, entry: u32): u32 {
  return entry | ((<u32>load<u16>(codes + ((<usize>entry) << 1))) << 16);
}

const LANES: usize = memory.data(16, 16);

function lane_of(v: v128, lane: i32): i32 {
  v128.store(LANES, v);
  return load<i32>(LANES + <usize>lane * 4);
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
    least = v128.bitselect(d, least, nearer);
    entries = v128.bitselect(v128.load32_splat(place, 4), entries, nearer);
    nearer = f32x4.lt(e, least);
    least = v128.bitselect(e, least, nearer);
    entries = v128.bitselect(v128.load32_splat(place, 12), entries, nearer);
  }
  return entries;
}

/** `level` times 16 */
function term(level: usize, x: v128, w: v128): v128 {
  const difference = f32x4.sub(v128.load(VALUES + level), x);
  return f32x4.mul(f32x4.mul(w, difference), difference);
}
