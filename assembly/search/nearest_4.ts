// Groups of four weights and eight levels, 0..7: the codebooks of IQ3 (codebook.ts).

import { nearest_int4 } from "../blocks/k/superblock";
import { ON_GRID } from "./codebook";
import { ISCALES, OFF, ROOTS, SCALES, set_entries, X } from "./search_iq";

/** 2 level + 1 */
const ODD: usize = memory.data<f32>([1, 3, 5, 7, 9, 11, 13, 15], 16);

/** Rounds group k to entries under the scales of four columns: of the first `lanes` of them, or with -1 of the last alone. */
export function round_4(book: usize, codes: usize, k: usize, column: usize, lanes: i32): void {
  const iscales = v128.load(ISCALES + column * 4);
  const x = X + k * 16;
  let octal = i32x4.splat(0);
  for (let i: usize = 16; i > 0; i -= 4) {
    // x / scale is nearest to 2 level + 1.
    const v = f32x4.sub(f32x4.mul(iscales, v128.load32_splat(x + i - 4)), f32x4.splat(1));
    const level = nearest_int4(f32x4.mul(f32x4.splat(0.5), v));
    const cut = i32x4.max_s(i32x4.min_s(level, i32x4.splat(7)), i32x4.splat(0));
    octal = v128.or(i32x4.shl(octal, 3), cut);
  }
  let entries = i32x4.splat(0);
  // Scales that lie close together often round to the same point, whose neighbours are then tried under all four.
  for (let open: i32 = lanes < 0 ? 8 : (1 << lanes) - 1; open !== 0; ) {
    const point = lane_of(octal, ctz(open));
    const here = i32x4.eq(octal, i32x4.splat(point));
    const value = load<u32>(book + <usize>point * 4);
    const found =
      value >= ON_GRID
        ? i32x4.splat(value & 0xffff)
        : nearest_4(book, value, x, ROOTS + k * 16, SCALES + column * 4);
    entries = v128.bitselect(found, entries, here);
    open &= ~i32x4.bitmask(here);
  }
  set_entries(codes, 4, k, column, entries);
}

const LANES: usize = memory.data(16, 16);

function lane_of(v: v128, lane: i32): i32 {
  v128.store(LANES, v);
  return load<i32>(LANES + <usize>lane * 4);
}

/**
 * With each of the four scales the neighbour with the least sum of w * (scale * odd - x)² over the four floats at `x`, the
 * first of equals; OFF is set. `value` is the table's for the point.
 */
function nearest_4(book: usize, value: u32, x: usize, w: usize, scales: usize): v128 {
  const scale = v128.load(scales);
  const x0 = v128.load32_splat(x);
  const x1 = v128.load32_splat(x, 4);
  const x2 = v128.load32_splat(x, 8);
  const x3 = v128.load32_splat(x, 12);
  const w0 = v128.load32_splat(w);
  const w1 = v128.load32_splat(w, 4);
  const w2 = v128.load32_splat(w, 8);
  const w3 = v128.load32_splat(w, 12);
  let least = f32x4.splat(f32.MAX_VALUE);
  let entries = i32x4.splat(0);
  const first = book + 4096 * 4 + (value >> 8) * 8;
  for (let place = first, end = first + (value & 255) * 8; place < end; place += 8) {
    let d = term(scale, load<u8>(place), x0, w0);
    d = f32x4.add(d, term(scale, load<u8>(place, 1), x1, w1));
    d = f32x4.add(d, term(scale, load<u8>(place, 2), x2, w2));
    d = f32x4.add(d, term(scale, load<u8>(place, 3), x3, w3));
    const nearer = f32x4.lt(d, least);
    least = v128.bitselect(d, least, nearer);
    entries = v128.bitselect(i32x4.splat(OFF | <u32>load<u16>(place, 4)), entries, nearer);
  }
  return entries;
}

function term(scale: v128, odd: usize, x: v128, w: v128): v128 {
  const difference = f32x4.sub(f32x4.mul(scale, v128.load32_splat(ODD + odd)), x);
  return f32x4.mul(f32x4.mul(w, difference), difference);
}
