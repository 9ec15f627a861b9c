// ggml's make_qkx2_quants, the search for a scale and a min. (Its make_qkx3_quants is the same search.)
//
// The levels tried are not kept: ISCALES and OFFSETS get the inverse scale and the offset that gave the best ones, from
// which search_levels makes them again in the rare case that ggml would use them.
import { ISCALES, MINS, nearest_int4, OFFSETS, SCALES, SUMS } from "../blocks/k/superblock";
import { choose, L, TILES, W } from "../blocks/k/tiles";

// The state of make_qkx2_quants for a tile: an entry is a vector for the first four sub-blocks and, 16 bytes on, one
// for the others.
const STATE: usize = memory.data(416, 16);
const MIN: usize = 0;
const LOWEST: usize = 32;
const HIGHEST: usize = 64;
const SUM_WX: usize = 96;
const LEAST: usize = 128;
const ISCALE: usize = 160;
const SUM_WL: usize = 192;
const SUM_WLL: usize = 224;
const SUM_WLX: usize = 256;
const DETERMINANT: usize = 288;
const TRY_SCALE: usize = 320;
const TRY_MIN: usize = 352;
const ERROR: usize = 384;

/** Below this magnitude nearest_int is plain rounding. */
const RANGE: f32 = 4194303;

/**
 * Finds for each sub-block of `n` the scale and min (SCALES, MINS) with the least error of scale * level - min, for
 * levels 0..nmax. A candidate cuts the range of x into nmax + rmin + rdelta * step levels, step = 0..nstep, and fits
 * scale and min to these by least squares. Errors are weighted; `use_mad` takes magnitudes instead of squares.
 * As in ggml, a better min also moves the grid of the candidates after it.
 */
export function make_qkx2_quants(
  n: usize,
  nmax: i32,
  rmin: f32,
  rdelta: f32,
  nstep: i32,
  use_mad: bool,
): void {
  const size = n * 32;
  const s = STATE;
  const others = STATE + 16; // the other half of a tile
  for (let t = TILES, out: usize = 0; t < TILES + 1024; t += size, out += 32) {
    measure(t, size, s, out);
    measure(t + 16, size, others, out + 16);
    aim(<f32>nmax, s);
    aim(<f32>nmax, others);
    sum_levels(t, size, <f32>nmax, s);
    sum_levels(t + 16, size, <f32>nmax, others);
    try_range(s);
    try_range(others);
    sum_errors(t, size, use_mad);
    keep(s, out, i32x4.splat(-1));
    keep(others, out + 16, i32x4.splat(-1));
    for (let step = 0; step <= nstep; step++) {
      const levels = rmin + rdelta * <f32>step + <f32>nmax;
      // Levels half by half: the sums of both would not fit the registers, and one half's divisions pass beside the
      // other's sums.
      aim(levels, s);
      aim(levels, others);
      sum_levels(t, size, <f32>nmax, s);
      fit_line(s, out);
      sum_levels(t + 16, size, <f32>nmax, others);
      fit_line(others, out + 16);
      sum_errors(t, size, use_mad);
      keep(s, out, better(s));
      keep(others, out + 16, better(others));
    }
    v128.store(MINS + out, f32x4.neg(v128.load(s, MIN)));
    v128.store(MINS + out, f32x4.neg(v128.load(others, MIN)), 16);
  }
}

/** Least, at most 0 as a min, and largest, sum of w and sum of w * x for the four sub-blocks at `t`. */
function measure(t: usize, size: usize, s: usize, out: usize): void {
  let x = v128.load(t);
  let w = v128.load(t, W);
  let least = x;
  let most = x;
  let sum_w = w;
  let sum_wx = f32x4.mul(w, x);
  for (let p = t + 32; p < t + size; p += 32) {
    x = v128.load(p);
    w = v128.load(p, W);
    least = f32x4.pmin(least, x);
    most = f32x4.pmax(most, x);
    sum_w = f32x4.add(sum_w, w);
    sum_wx = f32x4.add(sum_wx, f32x4.mul(w, x));
  }
  v128.store(s, f32x4.pmin(least, f32x4.splat(0)), MIN);
  v128.store(s, least, LOWEST);
  v128.store(s, most, HIGHEST);
  v128.store(s, sum_wx, SUM_WX);
  v128.store(SUMS + out, sum_w);
}

/** The first candidate: the range itself. */
function try_range(s: usize): void {
  v128.store(s, f32x4.div(f32x4.splat(1), v128.load(s, ISCALE)), TRY_SCALE);
  v128.store(s, v128.load(s, MIN), TRY_MIN);
}

/** The inverse scale that cuts min..max into `levels` steps; infinite where they are equal, so that all levels are 0. */
function aim(levels: f32, s: usize): void {
  const range = f32x4.sub(v128.load(s, HIGHEST), v128.load(s, MIN));
  v128.store(s, f32x4.div(f32x4.splat(levels), range), ISCALE);
}

/** Levels of four sub-blocks for ISCALE and MIN, to L, and their weighted sums. */
function sum_levels(t: usize, size: usize, nmax: f32, s: usize): void {
  const iscale = v128.load(s, ISCALE);
  const min = v128.load(s, MIN);
  // Levels grow or fall with x: none is beyond those of the least and the largest.
  const a = f32x4.mul(iscale, f32x4.sub(v128.load(s, LOWEST), min));
  const b = f32x4.mul(iscale, f32x4.sub(v128.load(s, HIGHEST), min));
  const low = f32x4.pmin(a, b);
  const high = f32x4.pmax(a, b);
  if (are_within(low, high, -0.5, nmax + 0.5)) sum_whole_levels(t, size, s);
  else if (are_within(low, high, -RANGE, RANGE)) sum_cut_levels(t, size, nmax, s);
  else sum_nearest_levels(t, size, nmax, s);
}

function are_within(low: v128, high: v128, least: f32, most: f32): bool {
  return i32x4.all_true(v128.and(f32x4.gt(low, f32x4.splat(least)), f32x4.lt(high, f32x4.splat(most))));
}

/** sum_levels where all are 0..nmax once they are rounded. */
function sum_whole_levels(t: usize, size: usize, s: usize): void {
  const iscale = v128.load(s, ISCALE);
  const min = v128.load(s, MIN);
  let wl = f32x4.splat(0);
  let wll = f32x4.splat(0);
  let wlx = f32x4.splat(0);
  for (const end = t + size; t < end; t += 32) {
    const x = v128.load(t);
    const l = f32x4.nearest(f32x4.mul(iscale, f32x4.sub(x, min)));
    v128.store(t, l, L);
    const w = f32x4.mul(v128.load(t, W), l);
    wl = f32x4.add(wl, w);
    wll = f32x4.add(wll, f32x4.mul(w, l));
    wlx = f32x4.add(wlx, f32x4.mul(w, x));
  }
  store_sums(s, wl, wll, wlx);
}

/** sum_levels where some may have to be cut to 0..nmax. */
function sum_cut_levels(t: usize, size: usize, nmax: f32, s: usize): void {
  const iscale = v128.load(s, ISCALE);
  const min = v128.load(s, MIN);
  const top = f32x4.splat(nmax);
  let wl = f32x4.splat(0);
  let wll = f32x4.splat(0);
  let wlx = f32x4.splat(0);
  for (const end = t + size; t < end; t += 32) {
    const x = v128.load(t);
    const nearest = f32x4.nearest(f32x4.mul(iscale, f32x4.sub(x, min)));
    const l = f32x4.pmax(f32x4.pmin(nearest, top), f32x4.splat(0));
    v128.store(t, l, L);
    const w = f32x4.mul(v128.load(t, W), l);
    wl = f32x4.add(wl, w);
    wll = f32x4.add(wll, f32x4.mul(w, l));
    wlx = f32x4.add(wlx, f32x4.mul(w, x));
  }
  store_sums(s, wl, wll, wlx);
}

/** sum_levels where nearest_int is more than rounding, or all x are equal. */
function sum_nearest_levels(t: usize, size: usize, nmax: f32, s: usize): void {
  const iscale = v128.load(s, ISCALE);
  const min = v128.load(s, MIN);
  const top = i32x4.splat(<i32>nmax);
  let wl = f32x4.splat(0);
  let wll = f32x4.splat(0);
  let wlx = f32x4.splat(0);
  for (const end = t + size; t < end; t += 32) {
    const x = v128.load(t);
    const nearest = nearest_int4(f32x4.mul(iscale, f32x4.sub(x, min)));
    const l = f32x4.convert_i32x4_s(i32x4.min_s(i32x4.max_s(nearest, i32x4.splat(0)), top));
    v128.store(t, l, L);
    const w = f32x4.mul(v128.load(t, W), l);
    wl = f32x4.add(wl, w);
    wll = f32x4.add(wll, f32x4.mul(w, l));
    wlx = f32x4.add(wlx, f32x4.mul(w, x));
  }
  store_sums(s, wl, wll, wlx);
}

function store_sums(s: usize, wl: v128, wll: v128, wlx: v128): void {
  v128.store(s, wl, SUM_WL);
  v128.store(s, wll, SUM_WLL);
  v128.store(s, wlx, SUM_WLX);
}

/** The other candidates: scale and min by weighted least squares, the min kept from rising above 0. */
function fit_line(s: usize, out: usize): void {
  const zero = f32x4.splat(0);
  const w = v128.load(SUMS + out);
  const wx = v128.load(s, SUM_WX);
  const wl = v128.load(s, SUM_WL);
  const wll = v128.load(s, SUM_WLL);
  const wlx = v128.load(s, SUM_WLX);
  const determinant = f32x4.sub(f32x4.mul(w, wll), f32x4.mul(wl, wl));
  const scale = f32x4.div(f32x4.sub(f32x4.mul(w, wlx), f32x4.mul(wx, wl)), determinant);
  const min = f32x4.div(f32x4.sub(f32x4.mul(wll, wx), f32x4.mul(wl, wlx)), determinant);
  const positive = f32x4.gt(min, zero);
  v128.store(s, determinant, DETERMINANT);
  v128.store(s, v128.bitselect(f32x4.div(wlx, wll), scale, positive), TRY_SCALE);
  v128.store(s, v128.andnot(min, positive), TRY_MIN);
}

/** Weighted errors of all eight sub-blocks' levels at L under TRY_SCALE and TRY_MIN. */
function sum_errors(t: usize, size: usize, use_mad: bool): void {
  const scale_a = v128.load(STATE, TRY_SCALE);
  const scale_b = v128.load(STATE + 16, TRY_SCALE);
  const min_a = v128.load(STATE, TRY_MIN);
  const min_b = v128.load(STATE + 16, TRY_MIN);
  let sum_a = f32x4.splat(0);
  let sum_b = f32x4.splat(0);
  if (use_mad) {
    for (const end = t + size; t < end; t += 32) {
      const d_a = f32x4.abs(difference(t, scale_a, min_a));
      const d_b = f32x4.abs(difference(t + 16, scale_b, min_b));
      sum_a = f32x4.add(sum_a, f32x4.mul(v128.load(t, W), d_a));
      sum_b = f32x4.add(sum_b, f32x4.mul(v128.load(t, W + 16), d_b));
    }
  } else {
    for (const end = t + size; t < end; t += 32) {
      const d_a = difference(t, scale_a, min_a);
      const d_b = difference(t + 16, scale_b, min_b);
      sum_a = f32x4.add(sum_a, f32x4.mul(v128.load(t, W), f32x4.mul(d_a, d_a)));
      sum_b = f32x4.add(sum_b, f32x4.mul(v128.load(t, W + 16), f32x4.mul(d_b, d_b)));
    }
  }
  v128.store(STATE, sum_a, ERROR);
  v128.store(STATE + 16, sum_b, ERROR);
}

function difference(p: usize, scale: v128, min: v128): v128 {
  return f32x4.sub(f32x4.add(f32x4.mul(scale, v128.load(p, L)), min), v128.load(p));
}

/** Lanes whose candidate has less error than any before it, and was a fit at all. */
function better(s: usize): v128 {
  const fitted = f32x4.gt(v128.load(s, DETERMINANT), f32x4.splat(0));
  return v128.and(fitted, f32x4.lt(v128.load(s, ERROR), v128.load(s, LEAST)));
}

/** Makes the candidate the best so far in the `chosen` lanes. */
function keep(s: usize, out: usize, chosen: v128): void {
  choose(s + LEAST, v128.load(s, ERROR), chosen);
  choose(SCALES + out, v128.load(s, TRY_SCALE), chosen);
  choose(ISCALES + out, v128.load(s, ISCALE), chosen);
  choose(OFFSETS + out, v128.load(s, MIN), chosen);
  choose(s + MIN, v128.load(s, TRY_MIN), chosen);
}
