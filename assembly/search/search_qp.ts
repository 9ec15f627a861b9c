// ggml's make_qp_quants, which rounds the scales or the mins of a super-block under an importance matrix, and finds
// the scale that IQ2_XXS starts from.
import { nearest_int } from "../blocks/k/superblock";
import { EPSILON } from "../blocks/k/tiles";

/**
 * Rounds `n` scales or mins at `x`, none below 0 expected, to bytes 0..nmax at `q` such that the squared error weighted
 * by `w` is small. Returns their unit.
 */
export function make_qp_quants(n: usize, nmax: i32, x: usize, w: usize, q: usize): f32 {
  let largest: f32 = 0;
  for (let i: usize = 0; i < n; i++) largest = max(largest, load<f32>(x + i * 4));
  if (largest < EPSILON) {
    for (let i: usize = 0; i < n; i++) store<u8>(q + i, 0);
    return 0;
  }
  return settle(n, nmax, x, w, q, best_grid(n, nmax, x, w, largest));
}

/** The inverse scale of least error among those that map `largest` to nmax + step / 10, step = -4..4, 0 first. */
function best_grid(n: usize, nmax: i32, x: usize, w: usize, largest: f32): f32 {
  let best = <f32>nmax / largest;
  // ggml keeps the levels of this first grid in bytes, uncut: one below zero wraps round.
  let least = grid_error(n, x, w, best, 255, 255);
  for (let step = -4; step <= 4; step++) {
    if (step === 0) continue;
    const iscale = (<f32>0.1 * <f32>step + <f32>nmax) / largest;
    const error = grid_error(n, x, w, iscale, -1, nmax);
    if (error < least) {
      least = error;
      best = iscale;
    }
  }
  return best;
}

function grid_error(n: usize, x: usize, w: usize, iscale: f32, mask: i32, top: i32): f32 {
  const scale: f32 = 1 / iscale;
  let error: f32 = 0;
  for (let i: usize = 0; i < n; i++) {
    const value = load<f32>(x + i * 4);
    const level = nearest_int(iscale * value) & mask;
    const difference = value - scale * <f32>min(top, level);
    error += load<f32>(w + i * 4) * difference * difference;
  }
  return error;
}

/**
 * Rounds under `iscale`; then up to five sweeps move one level at a time to where the rest would have it, while that
 * gains. Returns the unit that fits the levels best.
 */
function settle(n: usize, nmax: i32, x: usize, w: usize, q: usize, iscale: f32): f32 {
  let sum_lx: f32 = 0;
  let sum_ll: f32 = 0;
  for (let i: usize = 0; i < n; i++) {
    const value = load<f32>(x + i * 4);
    const weight = load<f32>(w + i * 4);
    const level = min(nmax, nearest_int(iscale * value));
    const l = <f32>level;
    store<u8>(q + i, level);
    sum_lx += weight * value * l;
    sum_ll += weight * l * l;
  }
  for (let sweep = 0, moved = true; sweep < 5 && moved; sweep++) {
    moved = false;
    for (let i: usize = 0; i < n; i++) {
      const value = load<f32>(x + i * 4);
      const weight = load<f32>(w + i * 4);
      const old = <f32>load<u8>(q + i);
      const rest_lx = sum_lx - weight * value * old;
      const rest_ll = sum_ll - weight * old * old;
      if (!(rest_lx > 0 && rest_ll > 0)) continue;
      const level = min(nmax, nearest_int((value * rest_ll) / rest_lx));
      const l = <f32>level;
      if (l === old) continue;
      const next_lx = rest_lx + weight * value * l;
      const next_ll = rest_ll + weight * l * l;
      if (next_lx * next_lx * sum_ll > sum_lx * sum_lx * next_ll) {
        store<u8>(q + i, level);
        sum_lx = next_lx;
        sum_ll = next_ll;
        moved = true;
      }
    }
  }
  return sum_ll > 0 ? sum_lx / sum_ll : 0;
}
