// ggml's make_qx_quants, the search for a scale without a min: search/search_qx.ts for sixteen sub-blocks of 16 at once.
// Written for pairs of vectors, as search_qkx2.ts is.
import { ISCALES, OFFSETS, SCALES } from "../blocks/k/superblock";
import { EPSILON } from "../blocks/k/tiles";
import { choose } from "./choose";
import { L, ROW, TILE, W } from "./tiles";

// For each sub-block its element of largest magnitude, and the sum that the best scale so far gains.
const EXTREMES: usize = memory.data(64, 64);
const GAINS: usize = memory.data(64, 64);

/** What rounds a float when it is added, in memory: V8 would make it anew in each turn of a loop. */
const ROUND: usize = memory.data<f32>([12582912]);
/** The sums of that and the lowest and highest level. */
const LOWEST: usize = memory.data(4);
const HIGHEST: usize = memory.data(4);

/** As make_qx_quants, for the sub-blocks in the tile. */
export function make_qx_sixteen(nmax: i32): void {
  store<f32>(LOWEST, 12582912 - <f32>nmax);
  store<f32>(HIGHEST, 12582912 + <f32>(nmax - 1));
  prepare(TILE, EXTREMES);
  prepare(TILE + 32, EXTREMES + 32);
  begin(0, -(<f32>nmax));
  begin(32, -(<f32>nmax));
  for (let i = 0; i < 18; i += 2) {
    const reach = -candidate(i, nmax);
    const other = -candidate(i + 1, nmax);
    try_two(0, reach, other);
    try_two(32, reach, other);
  }
  for (let k: usize = 0; k < ROW; k += 16) {
    const is_zero = f32x4.lt(f32x4.abs(v128.load(EXTREMES + k)), f32x4.splat(EPSILON));
    v128.store(SCALES + k, v128.andnot(v128.load(SCALES + k), is_zero));
    v128.store(ISCALES + k, v128.andnot(v128.load(ISCALES + k), is_zero));
    v128.store(OFFSETS + k, f32x4.splat(0));
  }
}

/** nmax + step / 10 for the i-th of the steps -9..-1 and 1..9. */
function candidate(i: i32, nmax: i32): f32 {
  return <f32>nmax + <f32>0.1 * <f32>(i < 9 ? i - 9 : i - 8);
}

/** w * x for the eight sub-blocks at `t`, and their extremes; of equal magnitudes the first. */
function prepare(t: usize, extremes: usize): void {
  let extreme_a = f32x4.splat(0);
  let extreme_b = f32x4.splat(0);
  for (const end = t + 16 * ROW; t < end; t += ROW) {
    const x_a = v128.load(t);
    const x_b = v128.load(t, 16);
    const w_a = v128.load(t, W);
    const w_b = v128.load(t, W + 16);
    v128.store(t, f32x4.mul(w_a, x_a), L);
    v128.store(t, f32x4.mul(w_b, x_b), L + 16);
    extreme_a = v128.bitselect(x_a, extreme_a, f32x4.gt(f32x4.abs(x_a), f32x4.abs(extreme_a)));
    extreme_b = v128.bitselect(x_b, extreme_b, f32x4.gt(f32x4.abs(x_b), f32x4.abs(extreme_b)));
  }
  v128.store(extremes, extreme_a);
  v128.store(extremes, extreme_b, 16);
}

/** The first candidate, which maps the extreme to `reach`. `k` is where a half of the sub-blocks is. */
function begin(k: usize, reach: f32): void {
  const iscale_a = f32x4.div(f32x4.splat(reach), v128.load(EXTREMES + k));
  const iscale_b = f32x4.div(f32x4.splat(reach), v128.load(EXTREMES + k, 16));
  const round = v128.load32_splat(ROUND);
  const lowest = v128.load32_splat(LOWEST);
  const highest = v128.load32_splat(HIGHEST);
  let lx_a = f32x4.splat(0);
  let lx_b = f32x4.splat(0);
  let ll_a = f32x4.splat(0);
  let ll_b = f32x4.splat(0);
  for (let t = TILE + k, end = t + 16 * ROW; t < end; t += ROW) {
    const x_a = v128.load(t);
    const x_b = v128.load(t, 16);
    const w_a = v128.load(t, W);
    const w_b = v128.load(t, W + 16);
    const wx_a = v128.load(t, L);
    const wx_b = v128.load(t, L + 16);
    const l_a = level(x_a, iscale_a, round, lowest, highest);
    const l_b = level(x_b, iscale_b, round, lowest, highest);
    lx_a = f32x4.add(lx_a, f32x4.mul(wx_a, l_a));
    lx_b = f32x4.add(lx_b, f32x4.mul(wx_b, l_b));
    ll_a = f32x4.add(ll_a, f32x4.mul(f32x4.mul(w_a, l_a), l_a));
    ll_b = f32x4.add(ll_b, f32x4.mul(f32x4.mul(w_b, l_b), l_b));
  }
  const zero = f32x4.splat(0);
  const scale_a = v128.and(f32x4.div(lx_a, ll_a), f32x4.ne(ll_a, zero));
  const scale_b = v128.and(f32x4.div(lx_b, ll_b), f32x4.ne(ll_b, zero));
  v128.store(SCALES + k, scale_a);
  v128.store(SCALES + k, scale_b, 16);
  v128.store(GAINS + k, f32x4.mul(scale_a, lx_a));
  v128.store(GAINS + k, f32x4.mul(scale_b, lx_b), 16);
  v128.store(ISCALES + k, iscale_a);
  v128.store(ISCALES + k, iscale_b, 16);
}

/** Levels of x under an inverse scale. All are in the range of plain rounding but where the sub-block counts as zero. */
function level(x: v128, iscale: v128, round: v128, lowest: v128, highest: v128): v128 {
  // Positive floats are ordered as their bits are.
  const sum = f32x4.add(f32x4.mul(iscale, x), round);
  return f32x4.sub(i32x4.max_s(i32x4.min_s(sum, highest), lowest), round);
}

/** Two candidates, which map the extreme to `reach` and to `other`: keeps what gains more than the best before. */
function try_two(k: usize, reach: f32, other: f32): void {
  const extreme_a = v128.load(EXTREMES + k);
  const extreme_b = v128.load(EXTREMES + k, 16);
  const i_a = f32x4.div(f32x4.splat(reach), extreme_a);
  const i_b = f32x4.div(f32x4.splat(reach), extreme_b);
  const j_a = f32x4.div(f32x4.splat(other), extreme_a);
  const j_b = f32x4.div(f32x4.splat(other), extreme_b);
  const round = v128.load32_splat(ROUND);
  const lowest = v128.load32_splat(LOWEST);
  const highest = v128.load32_splat(HIGHEST);
  let ilx_a = f32x4.splat(0);
  let ilx_b = f32x4.splat(0);
  let ill_a = f32x4.splat(0);
  let ill_b = f32x4.splat(0);
  let jlx_a = f32x4.splat(0);
  let jlx_b = f32x4.splat(0);
  let jll_a = f32x4.splat(0);
  let jll_b = f32x4.splat(0);
  for (let t = TILE + k, end = t + 16 * ROW; t < end; t += ROW) {
    const x_a = v128.load(t);
    const x_b = v128.load(t, 16);
    const w_a = v128.load(t, W);
    const w_b = v128.load(t, W + 16);
    const wx_a = v128.load(t, L);
    const wx_b = v128.load(t, L + 16);
    const l_a = level(x_a, i_a, round, lowest, highest);
    const l_b = level(x_b, i_b, round, lowest, highest);
    ilx_a = f32x4.add(ilx_a, f32x4.mul(wx_a, l_a));
    ilx_b = f32x4.add(ilx_b, f32x4.mul(wx_b, l_b));
    ill_a = f32x4.add(ill_a, f32x4.mul(f32x4.mul(w_a, l_a), l_a));
    ill_b = f32x4.add(ill_b, f32x4.mul(f32x4.mul(w_b, l_b), l_b));
    const m_a = level(x_a, j_a, round, lowest, highest);
    const m_b = level(x_b, j_b, round, lowest, highest);
    jlx_a = f32x4.add(jlx_a, f32x4.mul(wx_a, m_a));
    jlx_b = f32x4.add(jlx_b, f32x4.mul(wx_b, m_b));
    jll_a = f32x4.add(jll_a, f32x4.mul(f32x4.mul(w_a, m_a), m_a));
    jll_b = f32x4.add(jll_b, f32x4.mul(f32x4.mul(w_b, m_b), m_b));
  }
  const best_a = v128.load(GAINS + k);
  const best_b = v128.load(GAINS + k, 16);
  const scale_a = v128.load(SCALES + k);
  const scale_b = v128.load(SCALES + k, 16);
  const iscale_a = v128.load(ISCALES + k);
  const iscale_b = v128.load(ISCALES + k, 16);
  const i_gains_a = gains(best_a, ilx_a, ill_a);
  const i_gains_b = gains(best_b, ilx_b, ill_b);
  const i_scale_a = f32x4.div(ilx_a, ill_a);
  const i_scale_b = f32x4.div(ilx_b, ill_b);
  const better_a = choose(best_a, f32x4.mul(i_scale_a, ilx_a), i_gains_a);
  const better_b = choose(best_b, f32x4.mul(i_scale_b, ilx_b), i_gains_b);
  const j_gains_a = gains(better_a, jlx_a, jll_a);
  const j_gains_b = gains(better_b, jlx_b, jll_b);
  const j_scale_a = f32x4.div(jlx_a, jll_a);
  const j_scale_b = f32x4.div(jlx_b, jll_b);
  v128.store(GAINS + k, choose(better_a, f32x4.mul(j_scale_a, jlx_a), j_gains_a));
  v128.store(GAINS + k, choose(better_b, f32x4.mul(j_scale_b, jlx_b), j_gains_b), 16);
  v128.store(SCALES + k, choose(choose(scale_a, i_scale_a, i_gains_a), j_scale_a, j_gains_a));
  v128.store(SCALES + k, choose(choose(scale_b, i_scale_b, i_gains_b), j_scale_b, j_gains_b), 16);
  v128.store(ISCALES + k, choose(choose(iscale_a, i_a, i_gains_a), j_a, j_gains_a));
  v128.store(ISCALES + k, choose(choose(iscale_b, i_b, i_gains_b), j_b, j_gains_b), 16);
}

/** Lanes where the candidate with these sums gains more than the `best` before it. */
function gains(best: v128, lx: v128, ll: v128): v128 {
  return v128.and(f32x4.gt(f32x4.mul(lx, lx), f32x4.mul(best, ll)), f32x4.gt(ll, f32x4.splat(0)));
}
