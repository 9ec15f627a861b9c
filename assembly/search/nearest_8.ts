// Groups of eight weights and three levels, 0, 1 and 2: the codebooks of IQ1 and IQ2 (codebook.ts).

import { nearest_int4 } from "../blocks/k/superblock";
import { first_of_least, ON_GRID, record_bytes, terms } from "./codebook";
import { COLUMNS, ENTRIES, ISCALES, ODDS, OFF, ROOTS, SCALES, X } from "./search_iq";

/** Weights 3^i of the levels of a group: the number of its point. */
function point_of(low: v128, high: v128): u32 {
  const sums = i32x4.add(i32x4.mul(low, i32x4(1, 3, 9, 27)), i32x4.mul(high, i32x4(81, 243, 729, 2187)));
  const pairs = i32x4.add(sums, i64x2.shuffle(sums, sums, 1, 0));
  return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
}

/** Number of the point of eight levels, two bits each in `code`. */
export function point_of_code(code: u32): u32 {
  let point: u32 = 0;
  for (let i = 14; i >= 0; i -= 2) point = point * 3 + ((code >> i) & 3);
  return point;
}

/** Rounds `groups` groups of X to the entries of a grid, under the scale of a column: all, or those that are off it. */
export function round_8(book: usize, codes: usize, groups: usize, column: usize, off_only: bool): void {
  for (let k: usize = 0; k < groups; k++) {
    if (off_only && !(load<u16>(ENTRIES + column * 16 + k * 2) & OFF)) continue;
    round_group(book, codes, k, column);
  }
}

/** Group k of a column. */
function round_group(book: usize, codes: usize, k: usize, column: usize): void {
  const iscale = v128.load32_splat(ISCALES + column * 4);
  const value = load<u32>(book + point_of(level(X + k * 32, iscale), level(X + k * 32 + 16, iscale)) * 4);
  let entry = value & 0xffff;
  if (value < ON_GRID) {
    const scale = f32x4.splat(load<f32>(SCALES + column * 4));
    const odds = f32x4.mul(scale, f32x4(1, 3, 5, 0));
    entry = OFF | nearest_8(book, value, X + k * 32, ROOTS + k * 32, odds);
  }
  store<u16>(ENTRIES + column * 16 + k * 2, entry);
  const code = <u32>load<u16>(codes + <usize>(entry & ~OFF) * 2);
  for (let i: usize = 0; i < 8; i++) {
    store<u8>(ODDS + (k * 8 + i) * COLUMNS + column, ((code >> (<u32>i * 2)) & 3) * 2 + 1);
  }
}

/** Levels of four magnitudes: x / scale is nearest to 2 level + 1. */
function level(x: usize, iscale: v128): v128 {
  const half = f32x4.mul(f32x4.splat(0.5), f32x4.sub(f32x4.mul(iscale, v128.load(x)), f32x4.splat(1)));
  return i32x4.max_s(i32x4.min_s(nearest_int4(half), i32x4.splat(2)), i32x4.splat(0));
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
  const first = book + 6561 * 4 + (value >> 8) * record_bytes(8);
  let least = f32x4.splat(f32.MAX_VALUE);
  let at = i32x4.splat(0);
  let here = i32x4.splat(0);
  const byte = i32x4.splat(0x03020100);
  for (let r = first, end = first + (value & 255) * record_bytes(8); r < end; r += record_bytes(8)) {
    const a = v128.load(r);
    const b = v128.load(r, 16);
    let d = i8x16.swizzle(
      t0,
      v128.or(i8x16.shuffle(a, a, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), byte),
    );
    d = f32x4.add(
      d,
      i8x16.swizzle(t1, v128.or(i8x16.shuffle(a, a, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7), byte)),
    );
    d = f32x4.add(
      d,
      i8x16.swizzle(
        t2,
        v128.or(i8x16.shuffle(a, a, 8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11), byte),
      ),
    );
    d = f32x4.add(
      d,
      i8x16.swizzle(
        t3,
        v128.or(i8x16.shuffle(a, a, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15), byte),
      ),
    );
    d = f32x4.add(
      d,
      i8x16.swizzle(t4, v128.or(i8x16.shuffle(b, b, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), byte)),
    );
    d = f32x4.add(
      d,
      i8x16.swizzle(t5, v128.or(i8x16.shuffle(b, b, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7), byte)),
    );
    d = f32x4.add(
      d,
      i8x16.swizzle(
        t6,
        v128.or(i8x16.shuffle(b, b, 8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11), byte),
      ),
    );
    d = f32x4.add(
      d,
      i8x16.swizzle(
        t7,
        v128.or(i8x16.shuffle(b, b, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15), byte),
      ),
    );
    const nearer = f32x4.lt(d, least);
    least = v128.bitselect(d, least, nearer);
    at = v128.bitselect(here, at, nearer);
    here = i32x4.add(here, i32x4.splat(record_bytes(8)));
  }
  return first_of_least(first + 32, least, at);
}
