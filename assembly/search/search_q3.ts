// ggml's make_q3_quants, the search for Q3_K's scale without an importance matrix.
import { LEVELS, SCALES, SUB_D } from "../blocks/k/superblock";
import { choose, EPSILON, first_extreme, L, lane, W } from "../blocks/k/tiles";
import { BITS, ROUND, ZERO_BITS } from "./rounding";

/** The sums for the levels of four sub-blocks, a vector each: of w * level * x and of w * level², where w = x². */
const SUM_LX: usize = memory.data(32, 16);
const SUM_LL: usize = SUM_LX + 16;

/**
 * Finds for each sub-block of 16 the scale (SCALES) with the least squared error of scale * level weighted by x², for
 * levels -4..3, and leaves the levels in the tiles, as floats. The element of largest magnitude starts at -4; then up
 * to five sweeps move one level at a time to where the rest would have it, while that gains.
 */
export function make_q3_quants(): void {
  for (let j: usize = 0; j < 16; j += 4) {
    const t = lane(j, 16);
    const extreme = first_extreme(t);
    start(t, extreme);
    for (let i = 0, end = t + 512; i < 5 && end > 0; i++) end = sweep(t, end);
    const sum_ll = v128.load(SUM_LL);
    const scale = v128.and(f32x4.div(v128.load(SUM_LX), sum_ll), f32x4.gt(sum_ll, f32x4.splat(0)));
    const is_zero = f32x4.lt(f32x4.abs(extreme), f32x4.splat(EPSILON));
    v128.store(SCALES + j * 4, v128.andnot(scale, is_zero));
    // ggml leaves 0 where it stores level + 4.
    for (let p = t; p < t + 512; p += 32) choose(p + L, f32x4.splat(-4), is_zero);
  }
}

function start(t: usize, extreme: v128): void {
  const iscale = f32x4.div(f32x4.splat(-4), extreme);
  let sum_lx = f32x4.splat(0);
  let sum_ll = f32x4.splat(0);
  for (let p = t; p < t + 512; p += 32) {
    const x = v128.load(p);
    const w = f32x4.mul(x, x);
    const wx = f32x4.mul(w, x);
    const l = level(f32x4.mul(iscale, x));
    v128.store(p, wx, W);
    v128.store(p, l, L);
    sum_lx = f32x4.add(sum_lx, f32x4.mul(wx, l));
    sum_ll = f32x4.add(sum_ll, f32x4.mul(f32x4.mul(w, l), l));
  }
  v128.store(SUM_LX, sum_lx);
  v128.store(SUM_LL, sum_ll);
}

/**
 * Tries to move each level once; returns the place behind the last that moved, or 0. What is from `end` on has been tried with the sums
 * as they are: it is tried again only if one before moves.
 */
function sweep(t: usize, end: usize): usize {
  const zero = f32x4.splat(0);
  let sum_lx = v128.load(SUM_LX);
  let sum_ll = v128.load(SUM_LL);
  let moved: usize = 0;
  for (let p = t; p < end; p += 32) {
    const x = v128.load(p);
    const w = f32x4.mul(x, x);
    const wx = v128.load(p, W);
    const old = v128.load(p, L);
    const rest_lx = f32x4.sub(sum_lx, f32x4.mul(wx, old));
    const rest_ll = f32x4.sub(sum_ll, f32x4.mul(f32x4.mul(w, old), old));
    const l = level(f32x4.div(f32x4.mul(x, rest_ll), rest_lx));
    const wants = v128.and(f32x4.ne(l, old), f32x4.gt(rest_lx, zero));
    // Seldom: skipping lets the next elements go ahead instead of waiting for the sums.
    if (!v128.any_true(wants)) continue;
    const next_lx = f32x4.add(rest_lx, f32x4.mul(wx, l));
    const next_ll = f32x4.add(rest_ll, f32x4.mul(f32x4.mul(w, l), l));
    const gain = f32x4.gt(
      f32x4.mul(f32x4.mul(next_lx, next_lx), sum_ll),
      f32x4.mul(f32x4.mul(sum_lx, sum_lx), next_ll),
    );
    const moves = v128.and(v128.and(wants, gain), f32x4.gt(next_ll, zero));
    v128.store(p, v128.bitselect(l, old, moves), L);
    sum_lx = v128.bitselect(next_lx, sum_lx, moves);
    sum_ll = v128.bitselect(next_ll, sum_ll, moves);
    if (!v128.any_true(moves)) continue;
    moved = p + 32;
    end = t + 512;
  }
  v128.store(SUM_LX, sum_lx);
  v128.store(SUM_LL, sum_ll);
  return moved;
}

/** nearest_int cut to -4..3, as floats. */
function level(f: v128): v128 {
  const bits = v128.and(f32x4.add(f, v128.load(ROUND)), v128.load(BITS));
  const whole = i32x4.sub(bits, v128.load(ZERO_BITS));
  return f32x4.convert_i32x4_s(i32x4.min_s(i32x4.max_s(whole, v128.load(LOWEST)), v128.load(HIGHEST)));
}

// In memory: V8 would make them anew where they are used.
const LOWEST: usize = memory.data<i32>([-4, -4, -4, -4], 16);
const HIGHEST: usize = memory.data<i32>([3, 3, 3, 3], 16);

/** Writes LEVELS where the final scale is zero, as search_levels does for the other searches. */
export function q3_levels(): void {
  for (let j: usize = 0; j < 16; j++) {
    if (load<f32>(SUB_D + j * 4) !== 0) continue;
    for (let q = LEVELS + j * 16, p = lane(j, 16), end = p + 512; p < end; p += 32) {
      store<u8>(q++, <u8>(load<f32>(p, L) + 4));
    }
  }
}
