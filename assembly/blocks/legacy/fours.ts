// Four blocks of 32 floats at a time, one to a lane: what is done once a block (extremes across its lanes, divisions,
// half-precision scales) then costs as much as for one.
import { f16_of_f32x4 } from "../../numbers/f16";

/** Bytes of four blocks of f32. */
export const FOUR_BLOCKS: usize = 512;

/** For the caller to keep what a block is scaled by: the inverse of d, and its min. [4] f32 */
export const IDS: usize = memory.data(16, 16);
export const MINS_OF_FOUR: usize = memory.data(16, 16);

/** For each block the smallest and the largest of every fourth float, [4] f32 each. */
const LOWEST: usize = memory.data(64, 16);
const HIGHEST: usize = memory.data(64, 16);

/** Takes in the four blocks at `x`. A loop and no more than a block at once: V8 loads all before it begins. */
export function measure_four(x: usize): void {
  for (let at: usize = 0; at < 64; at += 16, x += 128) {
    v128.store(LOWEST + at, lowest(x));
    v128.store(HIGHEST + at, highest(x));
  }
}

/** Smallest float of each block measured, a zero of either sign. */
export function lowest_of_four(): v128 {
  const ab = f32x4.pmin(evens(LOWEST), odds(LOWEST));
  const cd = f32x4.pmin(evens(LOWEST + 32), odds(LOWEST + 32));
  return f32x4.pmin(i64x2.shuffle(ab, cd, 0, 2), i64x2.shuffle(ab, cd, 1, 3));
}

/** Largest float of each block measured, a zero of either sign. */
export function highest_of_four(): v128 {
  const ab = f32x4.pmax(evens(HIGHEST), odds(HIGHEST));
  const cd = f32x4.pmax(evens(HIGHEST + 32), odds(HIGHEST + 32));
  return f32x4.pmax(i64x2.shuffle(ab, cd, 0, 2), i64x2.shuffle(ab, cd, 1, 3));
}

/** Lanes 0 and 1 of the two vectors at `p`, side by side. */
function evens(p: usize): v128 {
  return i32x4.shuffle(v128.load(p), v128.load(p, 16), 0, 4, 1, 5);
}

/** Lanes 2 and 3. */
function odds(p: usize): v128 {
  return i32x4.shuffle(v128.load(p), v128.load(p, 16), 2, 6, 3, 7);
}

function lowest(x: usize): v128 {
  const a = f32x4.pmin(v128.load(x), v128.load(x, 16));
  const b = f32x4.pmin(v128.load(x, 32), v128.load(x, 48));
  const c = f32x4.pmin(v128.load(x, 64), v128.load(x, 80));
  const d = f32x4.pmin(v128.load(x, 96), v128.load(x, 112));
  return f32x4.pmin(f32x4.pmin(a, b), f32x4.pmin(c, d));
}

function highest(x: usize): v128 {
  const a = f32x4.pmax(v128.load(x), v128.load(x, 16));
  const b = f32x4.pmax(v128.load(x, 32), v128.load(x, 48));
  const c = f32x4.pmax(v128.load(x, 64), v128.load(x, 80));
  const d = f32x4.pmax(v128.load(x, 96), v128.load(x, 112));
  return f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d));
}

/** Lanes that are finite and not zero. */
export function ordinary(v: v128): v128 {
  const magnitude = f32x4.abs(v);
  return v128.and(f32x4.lt(magnitude, f32x4.splat(Infinity)), f32x4.gt(magnitude, f32x4.splat(0)));
}

/** The four as halves at `y`, `step` bytes apart. */
export function store_halves(y: usize, step: usize, v: v128): void {
  const halves = f16_of_f32x4(v);
  v128.store16_lane(y, halves, 0);
  v128.store16_lane(y + step, halves, 2);
  v128.store16_lane(y + 2 * step, halves, 4);
  v128.store16_lane(y + 3 * step, halves, 6);
}
