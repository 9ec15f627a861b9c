// Groups of eight weights and three levels in codebooks whose neighbours stand alone: each is tried under four scales at a time,
// where many neighbours are equally far from a point and scales that lie close together come to the same one.

import { ON_GRID } from "./codebook";
import { places_of } from "./nearest_8";
import { lane_of } from "./rounding";
import { ROOTS, SCALES, set_eights, set_final, X } from "./search_iq";

/** Rounds group k to entries under the scales of four columns: of the first `lanes` of them, or with -1 of the last alone. */
export function round_8_alone(book: usize, codes: usize, k: usize, column: usize, lanes: i32): void {
  const at = places_of(k, column);
  let entries = i32x4.splat(0);
  let known = false;
  let point = lanes < 0 ? i32x4.extract_lane(at, 3) : i32x4.extract_lane(at, 0);
  for (let open: i32 = lanes < 0 ? 8 : (1 << lanes) - 1; ; point = lane_of(at, ctz(open))) {
    const here = i32x4.eq(at, i32x4.splat(point));
    const value = load<u32>(book + <usize>point * 4);
    let found = i32x4.splat(value & 0xffff);
    if (value < ON_GRID) {
      if (!known) set_terms(k, column);
      known = true;
      found = nearest(book, value);
    }
    entries = v128.bitselect(found, entries, here);
    open &= ~i32x4.bitmask(here);
    if (open === 0) break;
  }
  if (lanes < 0) set_final(k, entries);
  else set_eights(codes, k, column, entries);
}

/** [element][level] four f32, w * (scale * (2 level + 1) - x)² under each scale. */
const TERMS: usize = memory.data(384, 16);

function set_terms(k: usize, column: usize): void {
  const low = v128.load(SCALES + column * 4);
  const middle = f32x4.mul(low, f32x4.splat(3));
  const high = f32x4.mul(low, f32x4.splat(5));
  for (let i: usize = 0; i < 8; i++) {
    const x = v128.load32_splat(X + k * 32 + i * 4);
    const w = v128.load32_splat(ROOTS + k * 32 + i * 4);
    const to = TERMS + i * 48;
    v128.store(to, term(low, x, w));
    v128.store(to, term(middle, x, w), 16);
    v128.store(to, term(high, x, w), 32);
  }
}

function term(value: v128, x: v128, w: v128): v128 {
  const difference = f32x4.sub(value, x);
  return f32x4.mul(f32x4.mul(w, difference), difference);
}

/** Under each scale the neighbour with the least sum of TERMS, the first of equals. `value` is the table's for the point. */
function nearest(book: usize, value: u32): v128 {
  const first = book + 6561 * 8 + (value >> 8) * 16;
  let least = f32x4.splat(f32.MAX_VALUE);
  let entries = v128.load32_splat(first, 8);
  for (let place = first, end = first + (value & 255) * 16; place < end; place += 16) {
    let d = v128.load(TERMS + <usize>load<u8>(place));
    d = f32x4.add(d, v128.load(TERMS + <usize>load<u8>(place, 1), 48));
    d = f32x4.add(d, v128.load(TERMS + <usize>load<u8>(place, 2), 96));
    d = f32x4.add(d, v128.load(TERMS + <usize>load<u8>(place, 3), 144));
    d = f32x4.add(d, v128.load(TERMS + <usize>load<u8>(place, 4), 192));
    d = f32x4.add(d, v128.load(TERMS + <usize>load<u8>(place, 5), 240));
    d = f32x4.add(d, v128.load(TERMS + <usize>load<u8>(place, 6), 288));
    d = f32x4.add(d, v128.load(TERMS + <usize>load<u8>(place, 7), 336));
    const nearer = f32x4.lt(d, least);
    least = f32x4.pmin(least, d);
    entries = v128.bitselect(v128.load32_splat(place, 8), entries, nearer);
  }
  return entries;
}
