// ggml's make_qx_quants, the search for a scale without a min.
//
// As in search_qkx2.ts, the best inverse scale stands for the levels it gave.
import { ISCALES, nearest_levels, OFFSETS, SCALES, SUMS } from "./superblock";
import { choose, EPSILON, first_extreme, L, lane, TILES, W } from "./tiles";

// The state of make_qx_quants for four sub-blocks, a vector each: what the best candidate gained, its scale and inverse
// scale; then the sums of the two candidates at hand.
const BEST: usize = memory.data(112, 16);
const BEST_SCALE: usize = 16;
const BEST_ISCALE: usize = 32;
const SUM_LX: usize = 48;
const SUM_LL: usize = 80;

/**
 * Finds for each sub-block of 16 the scale (SCALES) with the least weighted squared error of scale * level, for levels
 * -nmax..nmax-1. A candidate maps the element of largest magnitude to -(nmax + step / 10), step = -9..9, and fits the
 * scale to the levels that come out.
 */
export function make_qx_quants(nmax: i32): void {
  for (let j: usize = 0; j < 16; j += 4) {
    search_four(lane(j, 16), nmax);
    v128.store(SCALES + j * 4, v128.load(BEST, BEST_SCALE));
    v128.store(ISCALES + j * 4, v128.load(BEST, BEST_ISCALE));
    v128.store(OFFSETS + j * 4, f32x4.splat(0));
  }
}

/**
 * The same for the 16 SCALES, weighted by SUMS: writes their levels plus nmax as bytes at `q` and returns their unit.
 * All lanes do the same.
 */
export function make_qx_scales(nmax: i32, q: usize): f32 {
  for (let i: usize = 0; i < 16; i++) {
    v128.store(TILES + i * 32, v128.load32_splat(SCALES + i * 4));
    v128.store(TILES + i * 32, v128.load32_splat(SUMS + i * 4), W);
  }
  search_four(TILES, nmax);
  nearest_levels(SCALES, 16, load<f32>(BEST, BEST_ISCALE), 0, -nmax, nmax - 1, q);
  return load<f32>(BEST, BEST_SCALE);
}

/** make_qx_quants for the four sub-blocks at `t`. */
function search_four(t: usize, nmax: i32): void {
  const zero = f32x4.splat(0);
  const low = f32x4.splat(-(<f32>nmax));
  const high = f32x4.splat(<f32>(nmax - 1));
  const extreme = first_extreme(t);
  for (let p = t; p < t + 512; p += 32) v128.store(p, f32x4.mul(v128.load(p, W), v128.load(p)), L);

  const iscale = f32x4.div(f32x4.splat(-(<f32>nmax)), extreme);
  sum_products(t, low, high, iscale, iscale);
  const sum_lx = v128.load(BEST, SUM_LX);
  const sum_ll = v128.load(BEST, SUM_LL);
  const scale = v128.and(f32x4.div(sum_lx, sum_ll), f32x4.ne(sum_ll, zero));
  v128.store(BEST, f32x4.mul(scale, sum_lx));
  v128.store(BEST, scale, BEST_SCALE);
  v128.store(BEST, iscale, BEST_ISCALE);
  for (let i = 0; i < 18; i += 2) {
    const a = f32x4.div(f32x4.splat(-candidate(i, nmax)), extreme);
    const b = f32x4.div(f32x4.splat(-candidate(i + 1, nmax)), extreme);
    sum_products(t, low, high, a, b);
    keep_gain(a, v128.load(BEST, SUM_LX), v128.load(BEST, SUM_LL));
    keep_gain(b, v128.load(BEST + 16, SUM_LX), v128.load(BEST + 16, SUM_LL));
  }
  const is_zero = f32x4.lt(f32x4.abs(extreme), f32x4.splat(EPSILON));
  v128.store(BEST, v128.andnot(v128.load(BEST, BEST_SCALE), is_zero), BEST_SCALE);
  v128.store(BEST, v128.andnot(v128.load(BEST, BEST_ISCALE), is_zero), BEST_ISCALE);
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
  v128.store(BEST, lx_a, SUM_LX);
  v128.store(BEST + 16, lx_b, SUM_LX);
  v128.store(BEST, ll_a, SUM_LL);
  v128.store(BEST + 16, ll_b, SUM_LL);
}

/** Makes a candidate the best in the lanes where it gains on all before it. */
function keep_gain(iscale: v128, sum_lx: v128, sum_ll: v128): void {
  const gains = f32x4.gt(f32x4.mul(sum_lx, sum_lx), f32x4.mul(v128.load(BEST), sum_ll));
  const chosen = v128.and(gains, f32x4.gt(sum_ll, f32x4.splat(0)));
  const scale = f32x4.div(sum_lx, sum_ll);
  choose(BEST, f32x4.mul(scale, sum_lx), chosen);
  choose(BEST + BEST_SCALE, scale, chosen);
  choose(BEST + BEST_ISCALE, iscale, chosen);
}
