// Levels of magnitudes under four scales, a lane each: x / scale is nearest to 2 level + 1.

// Constants, in memory: V8 would make them anew where they are used.
export const ONE: usize = memory.data<f32>([1, 1, 1, 1], 16);
export const HALF: usize = memory.data<f32>([0.5, 0.5, 0.5, 0.5], 16);
/** Added to a float it rounds it, as nearest_int4. */
export const ROUND: usize = memory.data<f32>([12582912, 12582912, 12582912, 12582912], 16);
export const BITS: usize = memory.data<i32>([0x7fffff, 0x7fffff, 0x7fffff, 0x7fffff], 16);
export const ZERO_BITS: usize = memory.data<i32>([0x400000, 0x400000, 0x400000, 0x400000], 16);
export const SEVEN: usize = memory.data<i32>([7, 7, 7, 7], 16);
export const TWO: usize = memory.data<i32>([2, 2, 2, 2], 16);
/** How far behind the table of a codebook that of its short lists is, 4 × i32; 0 where values are not TAME. */
export const SHORT: usize = memory.data(16, 16);
/** Of levels 0, 1 and 2 the middles, as odd values, what is between them, and how far from a middle there is no doubt. */
export const LOW_MIDDLE: usize = memory.data<f32>([2, 2, 2, 2], 16);
export const HIGH_MIDDLE: usize = memory.data<f32>([4, 4, 4, 4], 16);
export const THREE: usize = memory.data<f32>([3, 3, 3, 3], 16);
export const CLEAR: usize = memory.data<f32>([0.001, 0.001, 0.001, 0.001], 16);
const NOTHING: usize = memory.data<i32>([0, 0, 0, 0], 16);
const MIDDLE: usize = memory.data<f32>([0.4995, 0.4995, 0.4995, 0.4995], 16);

/** (x / scale - 1) / 2 */
export function halves(iscales: v128, x: v128, one: v128, half: v128): v128 {
  return f32x4.mul(half, f32x4.sub(f32x4.mul(iscales, x), one));
}

/** The level that `r` stands for, a value with ROUND added, cut to 0 and what is at `top`. */
export function cut(r: v128, top: usize): v128 {
  const level = i32x4.sub(v128.and(r, v128.load(BITS)), v128.load(ZERO_BITS));
  return i32x4.max_s(i32x4.min_s(level, v128.load(top)), v128.load(NOTHING));
}

/** How far the value is from what it is rounded to. */
export function rounded_by(v: v128, r: v128, round: v128): v128 {
  return f32x4.abs(f32x4.sub(v, f32x4.sub(r, round)));
}

/**
 * The lanes in which values leave no doubt about their levels: `off` is how far at most they are from whole numbers. Floats go
 * wrong by some millionths only, where all values are below TAME.
 */
export function plain(off: v128): v128 {
  return f32x4.lt(off, v128.load(MIDDLE));
}

/** Smaller values are rounded by adding ROUND as they should. */
export const TAME: f32 = 1048576;

const LANES: usize = memory.data(16, 16);

/** A lane by its number. */
export function lane_of(v: v128, lane: i32): i32 {
  v128.store(LANES, v);
  return load<i32>(LANES + <usize>lane * 4);
}
