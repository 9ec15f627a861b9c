// ggml's make_qkx2_quants, the search for a scale and a min: search/search_qkx2.ts for sixteen sub-blocks at once.
//
// Written for V8 to make one operation of 256 bits of two of 128: vectors go in pairs, loaded and stored side by side,
// the lower first; and what a function loads it loads before it stores.
import { ISCALES, MINS, OFFSETS, SCALES, SUMS } from "../blocks/k/superblock";
import { choose } from "./choose";
import { L, ROW, TILE, W } from "./tiles";

// The state of the search: an entry is four vectors.
const STATE: usize = memory.data(10 * 64, 64);
const MIN: usize = 0;
const LOWEST: usize = 64;
const HIGHEST: usize = 128;
const SUM_WX: usize = 192;
const LEAST: usize = 256;
const ISCALE: usize = 320;
const DETERMINANT: usize = 384;
const TRY_SCALE: usize = 448;
const TRY_MIN: usize = 512;

// Constants of loops, in memory: V8 would make them anew in each turn.
/** Added to a float it rounds it; the bits of the sum that count; those of level 0, and of the highest. */
const ROUND: usize = memory.data<f32>([12582912]);
const BITS: usize = memory.data<i32>([0x7fffff]);
const LOWEST_BITS: usize = memory.data<i32>([0x400000]);
const HIGHEST_BITS: usize = memory.data(4);
/** A mask: whether a candidate is kept in any case. */
const ALWAYS: usize = memory.data(4);

/** As make_qkx2_quants, for the sixteen sub-blocks of `n` in the tile. */
export function make_qkx2_sixteen(
  n: usize,
  nmax: i32,
  rmin: f32,
  rdelta: f32,
  nstep: i32,
  use_mad: bool,
): void {
  const size = n * ROW;
  const top = <f32>nmax;
  store<i32>(HIGHEST_BITS, 0x400000 + nmax);
  for (let k: usize = 0; k < ROW; k += 32) {
    measure(TILE + k, size, STATE + k, SUMS + k);
    fit_levels(TILE + k, size, top, STATE + k, SUMS + k);
  }
  for (let s = STATE; s < STATE + ROW; s += 16) {
    // The first candidate is the range itself.
    v128.store(s, f32x4.div(f32x4.splat(1), v128.load(s, ISCALE)), TRY_SCALE);
    v128.store(s, v128.load(s, MIN), TRY_MIN);
  }
  store<i32>(ALWAYS, -1);
  judge(size, use_mad);
  store<i32>(ALWAYS, 0);
  for (let step = 0; step <= nstep; step++) {
    const levels = rmin + rdelta * <f32>step + top;
    fit_levels(TILE, size, levels, STATE, SUMS);
    fit_levels(TILE + 32, size, levels, STATE + 32, SUMS + 32);
    judge(size, use_mad);
  }
  for (let k: usize = 0; k < ROW; k += 16) v128.store(MINS + k, f32x4.neg(v128.load(STATE + k, MIN)));
}

/** Least, at most 0 as a min, and largest, sum of w and sum of w * x for the eight sub-blocks at `t`. */
function measure(t: usize, size: usize, s: usize, sums: usize): void {
  let x_a = v128.load(t);
  let x_b = v128.load(t, 16);
  let w_a = v128.load(t, W);
  let w_b = v128.load(t, W + 16);
  let least_a = x_a;
  let least_b = x_b;
  let most_a = x_a;
  let most_b = x_b;
  let sum_w_a = w_a;
  let sum_w_b = w_b;
  let sum_wx_a = f32x4.mul(w_a, x_a);
  let sum_wx_b = f32x4.mul(w_b, x_b);
  for (let p = t + ROW; p < t + size; p += ROW) {
    x_a = v128.load(p);
    x_b = v128.load(p, 16);
    w_a = v128.load(p, W);
    w_b = v128.load(p, W + 16);
    least_a = f32x4.pmin(least_a, x_a);
    least_b = f32x4.pmin(least_b, x_b);
    most_a = f32x4.pmax(most_a, x_a);
    most_b = f32x4.pmax(most_b, x_b);
    sum_w_a = f32x4.add(sum_w_a, w_a);
    sum_w_b = f32x4.add(sum_w_b, w_b);
    sum_wx_a = f32x4.add(sum_wx_a, f32x4.mul(w_a, x_a));
    sum_wx_b = f32x4.add(sum_wx_b, f32x4.mul(w_b, x_b));
  }
  const zero = f32x4.splat(0);
  v128.store(s, f32x4.pmin(least_a, zero), MIN);
  v128.store(s, f32x4.pmin(least_b, zero), MIN + 16);
  v128.store(s, least_a, LOWEST);
  v128.store(s, least_b, LOWEST + 16);
  v128.store(s, most_a, HIGHEST);
  v128.store(s, most_b, HIGHEST + 16);
  v128.store(s, sum_wx_a, SUM_WX);
  v128.store(s, sum_wx_b, SUM_WX + 16);
  v128.store(sums, sum_w_a);
  v128.store(sums, sum_w_b, 16);
}

/**
 * A candidate for the eight sub-blocks at `t`: levels, to L, for MIN and the ISCALE that cuts what is above it into
 * `levels` steps, and the scale and min that fit them by weighted least squares, the min kept from rising above 0.
 */
function fit_levels(t: usize, size: usize, levels: f32, s: usize, sums: usize): void {
  const min_a = v128.load(s, MIN);
  const min_b = v128.load(s, MIN + 16);
  const range_a = f32x4.sub(v128.load(s, HIGHEST), min_a);
  const range_b = f32x4.sub(v128.load(s, HIGHEST + 16), min_b);
  const count = f32x4.splat(levels);
  const iscale_a = f32x4.div(count, range_a);
  const iscale_b = f32x4.div(count, range_b);
  v128.store(s, iscale_a, ISCALE);
  v128.store(s, iscale_b, ISCALE + 16);
  const round = v128.load32_splat(ROUND);
  const bits = v128.load32_splat(BITS);
  const lowest = v128.load32_splat(LOWEST_BITS);
  const highest = v128.load32_splat(HIGHEST_BITS);
  let wl_a = f32x4.splat(0);
  let wl_b = f32x4.splat(0);
  let wll_a = f32x4.splat(0);
  let wll_b = f32x4.splat(0);
  let wlx_a = f32x4.splat(0);
  let wlx_b = f32x4.splat(0);
  for (const end = t + size; t < end; t += ROW) {
    const x_a = v128.load(t);
    const x_b = v128.load(t, 16);
    const w_a = v128.load(t, W);
    const w_b = v128.load(t, W + 16);
    const sum_a = f32x4.add(f32x4.mul(iscale_a, f32x4.sub(x_a, min_a)), round);
    const sum_b = f32x4.add(f32x4.mul(iscale_b, f32x4.sub(x_b, min_b)), round);
    const l_a = level(sum_a, bits, lowest, highest);
    const l_b = level(sum_b, bits, lowest, highest);
    v128.store(t, l_a, L);
    v128.store(t, l_b, L + 16);
    const v_a = f32x4.mul(w_a, l_a);
    const v_b = f32x4.mul(w_b, l_b);
    wl_a = f32x4.add(wl_a, v_a);
    wl_b = f32x4.add(wl_b, v_b);
    wll_a = f32x4.add(wll_a, f32x4.mul(v_a, l_a));
    wll_b = f32x4.add(wll_b, f32x4.mul(v_b, l_b));
    wlx_a = f32x4.add(wlx_a, f32x4.mul(v_a, x_a));
    wlx_b = f32x4.add(wlx_b, f32x4.mul(v_b, x_b));
  }
  const zero = f32x4.splat(0);
  const w_a = v128.load(sums);
  const w_b = v128.load(sums, 16);
  const wx_a = v128.load(s, SUM_WX);
  const wx_b = v128.load(s, SUM_WX + 16);
  const det_a = f32x4.sub(f32x4.mul(w_a, wll_a), f32x4.mul(wl_a, wl_a));
  const det_b = f32x4.sub(f32x4.mul(w_b, wll_b), f32x4.mul(wl_b, wl_b));
  const scale_a = f32x4.div(f32x4.sub(f32x4.mul(w_a, wlx_a), f32x4.mul(wx_a, wl_a)), det_a);
  const scale_b = f32x4.div(f32x4.sub(f32x4.mul(w_b, wlx_b), f32x4.mul(wx_b, wl_b)), det_b);
  const fit_a = f32x4.div(f32x4.sub(f32x4.mul(wll_a, wx_a), f32x4.mul(wl_a, wlx_a)), det_a);
  const fit_b = f32x4.div(f32x4.sub(f32x4.mul(wll_b, wx_b), f32x4.mul(wl_b, wlx_b)), det_b);
  const positive_a = f32x4.gt(fit_a, zero);
  const positive_b = f32x4.gt(fit_b, zero);
  const flat_a = f32x4.div(wlx_a, wll_a);
  const flat_b = f32x4.div(wlx_b, wll_b);
  v128.store(s, det_a, DETERMINANT);
  v128.store(s, det_b, DETERMINANT + 16);
  v128.store(s, v128.bitselect(flat_a, scale_a, positive_a), TRY_SCALE);
  v128.store(s, v128.bitselect(flat_b, scale_b, positive_b), TRY_SCALE + 16);
  v128.store(s, v128.andnot(fit_a, positive_a), TRY_MIN);
  v128.store(s, v128.andnot(fit_b, positive_b), TRY_MIN + 16);
}

/** nearest_int, cut to the type's levels, as floats, of what `sum` is when ROUND is added; the cuts are bits of such sums. */
function level(sum: v128, bits: v128, lowest: v128, highest: v128): v128 {
  const cut = i32x4.max_s(i32x4.min_s(v128.and(sum, bits), highest), lowest);
  return f32x4.convert_i32x4_s(i32x4.sub(cut, lowest));
}

/** Compares the candidates' weighted errors with the least so far, and keeps those that are better and were a fit at all. */
function judge(size: usize, use_mad: bool): void {
  const scale_a = v128.load(STATE, TRY_SCALE);
  const scale_b = v128.load(STATE, TRY_SCALE + 16);
  const scale_c = v128.load(STATE, TRY_SCALE + 32);
  const scale_d = v128.load(STATE, TRY_SCALE + 48);
  const min_a = v128.load(STATE, TRY_MIN);
  const min_b = v128.load(STATE, TRY_MIN + 16);
  const min_c = v128.load(STATE, TRY_MIN + 32);
  const min_d = v128.load(STATE, TRY_MIN + 48);
  let sum_a = f32x4.splat(0);
  let sum_b = f32x4.splat(0);
  let sum_c = f32x4.splat(0);
  let sum_d = f32x4.splat(0);
  let t = TILE;
  if (use_mad) {
    for (const end = t + size; t < end; t += ROW) {
      const d_a = f32x4.abs(difference(scale_a, v128.load(t, L), min_a, v128.load(t)));
      const d_b = f32x4.abs(difference(scale_b, v128.load(t, L + 16), min_b, v128.load(t, 16)));
      const d_c = f32x4.abs(difference(scale_c, v128.load(t, L + 32), min_c, v128.load(t, 32)));
      const d_d = f32x4.abs(difference(scale_d, v128.load(t, L + 48), min_d, v128.load(t, 48)));
      sum_a = f32x4.add(sum_a, f32x4.mul(v128.load(t, W), d_a));
      sum_b = f32x4.add(sum_b, f32x4.mul(v128.load(t, W + 16), d_b));
      sum_c = f32x4.add(sum_c, f32x4.mul(v128.load(t, W + 32), d_c));
      sum_d = f32x4.add(sum_d, f32x4.mul(v128.load(t, W + 48), d_d));
    }
  } else {
    for (const end = t + size; t < end; t += ROW) {
      const d_a = difference(scale_a, v128.load(t, L), min_a, v128.load(t));
      const d_b = difference(scale_b, v128.load(t, L + 16), min_b, v128.load(t, 16));
      const d_c = difference(scale_c, v128.load(t, L + 32), min_c, v128.load(t, 32));
      const d_d = difference(scale_d, v128.load(t, L + 48), min_d, v128.load(t, 48));
      sum_a = f32x4.add(sum_a, f32x4.mul(v128.load(t, W), f32x4.mul(d_a, d_a)));
      sum_b = f32x4.add(sum_b, f32x4.mul(v128.load(t, W + 16), f32x4.mul(d_b, d_b)));
      sum_c = f32x4.add(sum_c, f32x4.mul(v128.load(t, W + 32), f32x4.mul(d_c, d_c)));
      sum_d = f32x4.add(sum_d, f32x4.mul(v128.load(t, W + 48), f32x4.mul(d_d, d_d)));
    }
  }
  const always = v128.load32_splat(ALWAYS);
  const least_a = v128.load(STATE, LEAST + 0);
  const least_b = v128.load(STATE, LEAST + 16);
  const least_c = v128.load(STATE, LEAST + 32);
  const least_d = v128.load(STATE, LEAST + 48);
  const better_a = better(sum_a, least_a, v128.load(STATE, DETERMINANT + 0), always);
  const better_b = better(sum_b, least_b, v128.load(STATE, DETERMINANT + 16), always);
  const better_c = better(sum_c, least_c, v128.load(STATE, DETERMINANT + 32), always);
  const better_d = better(sum_d, least_d, v128.load(STATE, DETERMINANT + 48), always);
  if (!v128.any_true(v128.or(v128.or(better_a, better_b), v128.or(better_c, better_d)))) return;
  const old_scale_a = v128.load(SCALES, 0);
  const old_scale_b = v128.load(SCALES, 16);
  const old_scale_c = v128.load(SCALES, 32);
  const old_scale_d = v128.load(SCALES, 48);
  const old_min_a = v128.load(STATE, MIN + 0);
  const old_min_b = v128.load(STATE, MIN + 16);
  const old_min_c = v128.load(STATE, MIN + 32);
  const old_min_d = v128.load(STATE, MIN + 48);
  const offset_a = v128.load(OFFSETS, 0);
  const offset_b = v128.load(OFFSETS, 16);
  const offset_c = v128.load(OFFSETS, 32);
  const offset_d = v128.load(OFFSETS, 48);
  const iscale_a = v128.load(ISCALES, 0);
  const iscale_b = v128.load(ISCALES, 16);
  const iscale_c = v128.load(ISCALES, 32);
  const iscale_d = v128.load(ISCALES, 48);
  v128.store(STATE, choose(least_a, sum_a, better_a), LEAST + 0);
  v128.store(STATE, choose(least_b, sum_b, better_b), LEAST + 16);
  v128.store(SCALES, choose(old_scale_a, scale_a, better_a), 0);
  v128.store(SCALES, choose(old_scale_b, scale_b, better_b), 16);
  v128.store(STATE, choose(old_min_a, min_a, better_a), MIN + 0);
  v128.store(STATE, choose(old_min_b, min_b, better_b), MIN + 16);
  v128.store(OFFSETS, choose(offset_a, old_min_a, better_a), 0);
  v128.store(OFFSETS, choose(offset_b, old_min_b, better_b), 16);
  v128.store(ISCALES, choose(iscale_a, v128.load(STATE, ISCALE + 0), better_a), 0);
  v128.store(ISCALES, choose(iscale_b, v128.load(STATE, ISCALE + 16), better_b), 16);
  v128.store(STATE, choose(least_c, sum_c, better_c), LEAST + 32);
  v128.store(STATE, choose(least_d, sum_d, better_d), LEAST + 48);
  v128.store(SCALES, choose(old_scale_c, scale_c, better_c), 32);
  v128.store(SCALES, choose(old_scale_d, scale_d, better_d), 48);
  v128.store(STATE, choose(old_min_c, min_c, better_c), MIN + 32);
  v128.store(STATE, choose(old_min_d, min_d, better_d), MIN + 48);
  v128.store(OFFSETS, choose(offset_c, old_min_c, better_c), 32);
  v128.store(OFFSETS, choose(offset_d, old_min_d, better_d), 48);
  v128.store(ISCALES, choose(iscale_c, v128.load(STATE, ISCALE + 32), better_c), 32);
  v128.store(ISCALES, choose(iscale_d, v128.load(STATE, ISCALE + 48), better_d), 48);
}

/** Lanes whose candidate has less error than any before it, and was a fit at all; or all. */
function better(error: v128, least: v128, determinant: v128, always: v128): v128 {
  return v128.or(v128.and(f32x4.gt(determinant, f32x4.splat(0)), f32x4.lt(error, least)), always);
}

function difference(scale: v128, l: v128, min: v128, x: v128): v128 {
  return f32x4.sub(f32x4.add(f32x4.mul(scale, l), min), x);
}
