// Groups of four weights and eight levels, 0..7: the codebooks of IQ3 (codebook.ts).

import { nearest_int4 } from "../blocks/k/superblock";
import { first_of_least, ON_GRID, record_bytes, terms } from "./codebook";
import { COLUMNS, ENTRIES, ISCALES, ODDS, OFF, ROOTS, SCALES, X } from "./search_iq";

/** Rounds `groups` groups of X to the entries of a grid, under the scale of a column: all, or those that are off it. */
export function round_4(book: usize, codes: usize, groups: usize, column: usize, off_only: bool): void {
  for (let k: usize = 0; k < groups; k++) {
    if (off_only && !(load<u16>(ENTRIES + column * 16 + k * 2) & OFF)) continue;
    round_group(book, codes, k, column);
  }
}

/** Group k of a column. */
function round_group(book: usize, codes: usize, k: usize, column: usize): void {
  const x = X + k * 16;
  const iscale = v128.load32_splat(ISCALES + column * 4);
  const half = f32x4.mul(f32x4.splat(0.5), f32x4.sub(f32x4.mul(iscale, v128.load(x)), f32x4.splat(1)));
  const level = i32x4.max_s(i32x4.min_s(nearest_int4(half), i32x4.splat(7)), i32x4.splat(0));
  const octal =
    i32x4.extract_lane(level, 0) |
    (i32x4.extract_lane(level, 1) << 3) |
    (i32x4.extract_lane(level, 2) << 6) |
    (i32x4.extract_lane(level, 3) << 9);
  const value = load<u32>(book + <usize>octal * 4);
  let entry = value & 0xffff;
  if (value < ON_GRID)
    entry = OFF | nearest_4(book, value, x, ROOTS + k * 16, load<f32>(SCALES + column * 4));
  store<u16>(ENTRIES + column * 16 + k * 2, entry);
  const code = <u32>load<u16>(codes + <usize>(entry & ~OFF) * 2);
  for (let i: usize = 0; i < 4; i++) {
    store<u8>(ODDS + (k * 4 + i) * COLUMNS + column, ((code >> (<u32>i * 4)) & 7) * 2 + 1);
  }
}

/** The neighbour with the least sum of w * (scale * odd - x)² over the four floats at `x`, the first of equals. */
function nearest_4(book: usize, value: u32, x: usize, w: usize, scale: f32): u32 {
  const low = f32x4.mul(f32x4.splat(scale), f32x4(1, 3, 5, 7));
  const high = f32x4.mul(f32x4.splat(scale), f32x4(9, 11, 13, 15));
  const t0 = terms(x, w, low);
  const u0 = terms(x, w, high);
  const t1 = terms(x + 4, w + 4, low);
  const u1 = terms(x + 4, w + 4, high);
  const t2 = terms(x + 8, w + 8, low);
  const u2 = terms(x + 8, w + 8, high);
  const t3 = terms(x + 12, w + 12, low);
  const u3 = terms(x + 12, w + 12, high);
  const first = book + 4096 * 4 + (value >> 8) * record_bytes(4);
  const byte = i32x4.splat(0x03020100);
  let least = f32x4.splat(f32.MAX_VALUE);
  let at = i32x4.splat(0);
  let here = i32x4.splat(0);
  for (let r = first, end = first + (value & 255) * record_bytes(4); r < end; r += record_bytes(4)) {
    const a = v128.load(r);
    let d = look(t0, u0, v128.or(i8x16.shuffle(a, a, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), byte));
    d = f32x4.add(
      d,
      look(t1, u1, v128.or(i8x16.shuffle(a, a, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7), byte)),
    );
    d = f32x4.add(
      d,
      look(
        t2,
        u2,
        v128.or(i8x16.shuffle(a, a, 8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11), byte),
      ),
    );
    d = f32x4.add(
      d,
      look(
        t3,
        u3,
        v128.or(i8x16.shuffle(a, a, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15), byte),
      ),
    );
    const nearer = f32x4.lt(d, least);
    least = v128.bitselect(d, least, nearer);
    at = v128.bitselect(here, at, nearer);
    here = i32x4.add(here, i32x4.splat(record_bytes(4)));
  }
  return first_of_least(first + 16, least, at);
}

/** Four of the eight floats of `low` and `high`, by the places of their bytes. */
function look(low: v128, high: v128, bytes: v128): v128 {
  return v128.or(i8x16.swizzle(low, bytes), i8x16.swizzle(high, i8x16.sub(bytes, i8x16.splat(16))));
}
