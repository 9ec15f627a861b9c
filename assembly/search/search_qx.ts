// ggml's make_qx_quants, the search for a scale without a min.
//
// As in search_qkx2.ts, the best inverse scale stands for the levels it gave.
import { absmax_scale, ISCALES, nearest_levels, OFFSETS, SCALES, SUMS } from "../blocks/k/superblock";
import { EPSILON, first_extreme, L, lane, W } from "../blocks/k/tiles";
import { search_qx_16 } from "./search_32";

/** What make_qx_quants found for four sub-blocks, a vector each. */
const BEST_SCALE: usize = memory.data(16, 16);
const BEST_ISCALE: usize = memory.data(16, 16);
/** Sums of the two candidates at hand: of level * x, and 16 bytes on of level². */
const SUMS_A: usize = memory.data(32, 16);
const SUMS_B: usize = memory.data(32, 16);
const SUM_LL: usize = 16;

/**
 * Finds for each sub-block of 16 the scale (SCALES) with the least weighted squared error of scale * level, for levels
 * -nmax..nmax-1. A candidate maps the element of largest magnitude to -(nmax + step / 10), step = -9..9, and fits the
 * scale to the levels that come out.
 */
export function make_qx_quants(nmax: i32): void {
  for (let j: usize = 0; j < 16; j += 4) {
    search_four(lane(j, 16), nmax);
    v128.store(SCALES + j * 4, v128.load(BEST_SCALE));
    v128.store(ISCALES + j * 4, v128.load(BEST_ISCALE));
    v128.store(OFFSETS + j * 4, f32x4.splat(0));
  }
}

/** The same for the 16 SCALES, weighted by SUMS: writes their levels plus nmax as bytes at `q` and returns their unit. */
export function make_qx_scales(nmax: i32, q: usize): f32 {
  const unit = search_qx_16(SCALES, SUMS, nmax, absmax_scale(), BEST_ISCALE);
  nearest_levels(SCALES, 16, load<f32>(BEST_ISCALE), 0, -nmax, nmax - 1, q);
  return unit;
}

/** make_qx_quants for the four sub-blocks at `t`. */
function search_four(t: usize, nmax: i32): void {
  const zero = f32x4.splat(0);
  const low = f32x4.splat(-(<f32>nmax));
  const high = f32x4.splat(<f32>(nmax - 1));
  const extreme = first_extreme(t);
  for (let p = t; p < t + 512; p += 32) v128.store(p, f32x4.mul(v128.load(p, W), v128.load(p)), L);

  let iscale = f32x4.div(low, extreme);
  sum_products(t, low, high, iscale, iscale);
  const sum_ll = v128.load(SUMS_A, SUM_LL);
  let scale = v128.and(f32x4.div(v128.load(SUMS_A), sum_ll), f32x4.ne(sum_ll, zero));
  let best = f32x4.mul(scale, v128.load(SUMS_A));
  for (let i = 0; i < 18; i += 2) {
    const a = f32x4.div(f32x4.splat(-candidate(i, nmax)), extreme);
    const b = f32x4.div(f32x4.splat(-candidate(i + 1, nmax)), extreme);
    sum_products(t, low, high, a, b);
    const gains_a = gains(SUMS_A, best);
    const scale_a = f32x4.div(v128.load(SUMS_A), v128.load(SUMS_A, SUM_LL));
    best = v128.bitselect(f32x4.mul(scale_a, v128.load(SUMS_A)), best, gains_a);
    const gains_b = gains(SUMS_B, best);
    const scale_b = f32x4.div(v128.load(SUMS_B), v128.load(SUMS_B, SUM_LL));
    best = v128.bitselect(f32x4.mul(scale_b, v128.load(SUMS_B)), best, gains_b);
    scale = v128.bitselect(scale_b, v128.bitselect(scale_a, scale, gains_a), gains_b);
    iscale = v128.bitselect(b, v128.bitselect(a, iscale, gains_a), gains_b);
  }
  const is_zero = f32x4.lt(f32x4.abs(extreme), f32x4.splat(EPSILON));
  v128.store(BEST_SCALE, v128.andnot(scale, is_zero));
  v128.store(BEST_ISCALE, v128.andnot(iscale, is_zero));
}

/** Lanes where the candidate with these sums gains more than the `best` before it. */
function gains(sums: usize, best: v128): v128 {
  const lx = v128.load(sums);
  const ll = v128.load(sums, SUM_LL);
  return v128.and(f32x4.gt(f32x4.mul(lx, lx), f32x4.mul(best, ll)), f32x4.gt(ll, f32x4.splat(0)));
}

/** nmax + step / 10 for the i-th of the steps -9..-1 and 1..9. */
function candidate(i: i32, nmax: i32): f32 {
  return <f32>nmax + <f32>0.1 * <f32>(i < 9 ? i - 9 : i - 8);
}

/** Weighted sums of level * x and level², for levels nearest_int(iscale * x) of two inverse scales. */
function sum_products(t: usize, low: v128, high: v128, iscale_a: v128, iscale_b: v128): void {
  let lx_a = f32x4.splat(0);
  let lx_b = f32x4.splat(0);
  let ll_a = f32x4.splat(0);
  let ll_b = f32x4.splat(0);
  for (let p = t; p < t + 512; p += 32) {
    const x = v128.load(p);
    const w = v128.load(p, W);
    const wx = v128.load(p, L);
    // In range, all but lanes that count as zero, so nearest_int is plain rounding.
    const l_a = f32x4.pmax(f32x4.pmin(f32x4.nearest(f32x4.mul(iscale_a, x)), high), low);
    const l_b = f32x4.pmax(f32x4.pmin(f32x4.nearest(f32x4.mul(iscale_b, x)), high), low);
    lx_a = f32x4.add(lx_a, f32x4.mul(wx, l_a));
    lx_b = f32x4.add(lx_b, f32x4.mul(wx, l_b));
    ll_a = f32x4.add(ll_a, f32x4.mul(f32x4.mul(w, l_a), l_a));
    ll_b = f32x4.add(ll_b, f32x4.mul(f32x4.mul(w, l_b), l_b));
  }
  v128.store(SUMS_A, lx_a);
  v128.store(SUMS_A, ll_a, SUM_LL);
  v128.store(SUMS_B, lx_b);
  v128.store(SUMS_B, ll_b, SUM_LL);
}
