// Groups of eight weights and three levels, 0, 1 and 2: the codebooks of IQ1 and IQ2 (codebook.ts).

import { nearest_int4 } from "../blocks/k/superblock";
import { first_of_least, ON_GRID, terms } from "./codebook";
import { ISCALES, OFF, ROOTS, SCALES, set_entries, X } from "./search_iq";

/** Number of the point of eight levels, two bits each in `code`. */
export function point_of_code(code: u32): u32 {
  let point: u32 = 0;
  for (let i = 14; i >= 0; i -= 2) point = point * 3 + ((code >> i) & 3);
  return point;
}

/** Rounds group k to entries under the scales of four columns: of the first `lanes` of them, or with -1 of the last alone. */
export function round_8(book: usize, codes: usize, k: usize, column: usize, lanes: i32): void {
  const iscales = v128.load(ISCALES + column * 4);
  const x = X + k * 32;
  let point = i32x4.splat(0);
  for (let i: usize = 32; i > 0; i -= 4) {
    // x / scale is nearest to 2 level + 1.
    const v = f32x4.sub(f32x4.mul(iscales, v128.load32_splat(x + i - 4)), f32x4.splat(1));
    const level = nearest_int4(f32x4.mul(f32x4.splat(0.5), v));
    const cut = i32x4.max_s(i32x4.min_s(level, i32x4.splat(2)), i32x4.splat(0));
    point = i32x4.add(i32x4.add(i32x4.add(point, point), point), cut);
  }
  let entries = i32x4.splat(0);
  if (lanes > 0)
    entries = i32x4.replace_lane(entries, 0, entry_of(book, i32x4.extract_lane(point, 0), k, column));
  if (lanes > 1)
    entries = i32x4.replace_lane(entries, 1, entry_of(book, i32x4.extract_lane(point, 1), k, column + 1));
  if (lanes > 2)
    entries = i32x4.replace_lane(entries, 2, entry_of(book, i32x4.extract_lane(point, 2), k, column + 2));
  if (lanes < 0 || lanes > 3) {
    entries = i32x4.replace_lane(entries, 3, entry_of(book, i32x4.extract_lane(point, 3), k, column + 3));
  }
  set_entries(codes, 8, k, column, entries);
}

function entry_of(book: usize, point: u32, k: usize, column: usize): u32 {
  const value = load<u32>(book + <usize>point * 4);
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
  const first = book + 6561 * 4 + (value >> 8) * 40;
  let least = f32x4.splat(f32.MAX_VALUE);
  let at = i32x4.splat(0);
  let here = i32x4.splat(0);
  const byte = i32x4.splat(0x03020100);
  for (let r = first, end = first + (value & 255) * 40; r < end; r += 40) {
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
    here = i32x4.add(here, i32x4.splat(40));
  }
  return first_of_least(first + 32, least, at);
}
