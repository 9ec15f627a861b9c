// The scale searches of the formats with one scale for 32 weights: ggml's make_qx_quants, for Q4_0 and Q5_0 with an
// importance matrix, and quantize_row_iq4_nl_impl, for IQ4_NL and IQ4_XS.
//
// Both round the block under a number of candidate scales, fit the scale to the levels that come out, by weighted least
// squares, and keep the best fit. Here each lane of a vector tries one candidate, in exactly ggml's scalar order of
// operations, so that the sums have the same last bit; then the sums are compared in ggml's order.

import { EPSILON } from "../blocks/k/tiles";
import { cut_u8, whole_i32 } from "../blocks/pack";
import { signed_absmax32 } from "./search";

// Up to 20 candidates, an f32 each: inverse scale, and the weighted sums of level * x and of level².
const ISCALES: usize = memory.data(80, 16);
const SUM_LX: usize = memory.data(80, 16);
const SUM_LL: usize = memory.data(80, 16);

/** Weights x² of 32 floats at `x`, to `w`. */
export function square32(x: usize, w: usize): void {
  for (const end = x + 128; x < end; x += 16, w += 16) {
    v128.store(w, f32x4.mul(v128.load(x), v128.load(x)));
  }
}

/** Weights qw * sqrt(sigma2 + x²) of 32 floats at `x`, to `w`. */
export function weigh32(x: usize, qw: usize, sigma2: f32, w: usize): void {
  const sigma = f32x4.splat(sigma2);
  for (const end = x + 128; x < end; x += 16, qw += 16, w += 16) {
    const v = v128.load(x);
    v128.store(w, f32x4.mul(v128.load(qw), f32x4.sqrt(f32x4.add(sigma, f32x4.mul(v, v)))));
  }
}

// Q4_0 and Q5_0: the first candidate maps the extreme to -nmax, the others to -(nmax + step / 10).
const QX_CANDIDATES: usize = 19;
const STEPS: usize = memory.data<f32>(
  [0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0],
  16,
);

/**
 * Finds the scale with the least squared error, weighted by `w`, of scale * (q - nmax) for the 32 floats at `x`.
 * Writes their q, bytes in 0..2 nmax - 1, to `q`. A block that counts as zero has scale 0, and q 0 as in ggml.
 */
export function search_qx(x: usize, w: usize, nmax: i32, q: usize): f32 {
  const extreme = signed_absmax32(x);
  if (abs(extreme) < EPSILON) {
    memory.fill(q, 0, 32);
    return 0;
  }
  const best = best_of_qx(x, w, 32, nmax, extreme);
  const top = f32x4.splat(<f32>nmax);
  const iscale = v128.load32_splat(ISCALES + best);
  v128.store(q, quants(x, iscale, top));
  v128.store(q, quants(x + 64, iscale, top), 16);
  return fitted_scale(best);
}

/**
 * The same search for the 16 floats at `x`, the scales of a super-block; returns their unit and leaves the inverse that gave
 * their levels at `inverse`.
 */
export function search_qx_16(x: usize, w: usize, nmax: i32, extreme: f32, inverse: usize): f32 {
  store<f32>(inverse, 0);
  if (abs(extreme) < EPSILON) return 0;
  const best = best_of_qx(x, w, 16, nmax, extreme);
  store<f32>(inverse, load<f32>(ISCALES + best));
  return fitted_scale(best);
}

/** The best candidate for `n` floats, of which `extreme` has the largest magnitude. */
function best_of_qx(x: usize, w: usize, n: usize, nmax: i32, extreme: f32): usize {
  const top = f32x4.splat(<f32>nmax);
  for (let i: usize = 0; i < QX_CANDIDATES * 4; i += 16) {
    const reach = f32x4.add(top, f32x4.mul(f32x4.splat(0.1), v128.load(STEPS + i)));
    const iscale = f32x4.div(f32x4.neg(reach), f32x4.splat(extreme));
    let sum_lx = f32x4.splat(0);
    let sum_ll = f32x4.splat(0);
    for (let j: usize = 0; j < n * 4; j += 4) {
      const v = v128.load32_splat(x + j);
      const weight = v128.load32_splat(w + j);
      const l = level(v, iscale, top);
      sum_lx = f32x4.add(sum_lx, f32x4.mul(f32x4.mul(weight, v), l));
      sum_ll = f32x4.add(sum_ll, f32x4.mul(f32x4.mul(weight, l), l));
    }
    v128.store(ISCALES + i, iscale);
    v128.store(SUM_LX + i, sum_lx);
    v128.store(SUM_LL + i, sum_ll);
  }
  return best_candidate(QX_CANDIDATES);
}

/** x / scale, rounded and cut to -top..top - 1. */
function level(x: v128, iscale: v128, top: v128): v128 {
  const l = f32x4.nearest(f32x4.mul(iscale, x));
  return f32x4.pmax(f32x4.pmin(l, f32x4.sub(top, f32x4.splat(1))), f32x4.neg(top));
}

/** Levels of the sixteen floats at `x`, counted from 0. */
function quants(x: usize, iscale: v128, top: v128): v128 {
  return cut_u8(
    f32x4.add(level(v128.load(x), iscale, top), top),
    f32x4.add(level(v128.load(x, 16), iscale, top), top),
    f32x4.add(level(v128.load(x, 32), iscale, top), top),
    f32x4.add(level(v128.load(x, 48), iscale, top), top),
  );
}

// IQ4_NL: the first candidate maps the extreme to 127, the others to -127 - try, from -7 to 7.
const IQ4_CANDIDATES: usize = 16;
const REACHES: usize = memory.data<f32>(
  [127, -134, -133, -132, -131, -130, -129, -128, -127, -126, -125, -124, -123, -122, -121, -120],
  16,
);

/** The sixteen levels of IQ4_NL and IQ4_XS. */
export const IQ4_LEVELS: usize = memory.data<i8>(
  [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
  16,
);

/** Where a level ends: halfway to the next, which gets the tie. */
const MIDPOINTS: usize = memory.data<f32>([
  -115.5, -93.5, -74, -57, -42, -28.5, -16, -4.5, 7, 19, 31.5, 45.5, 61, 79, 101,
]);

// What begins at each level: where it ends, the level, and what makes the next of it by xor; [16][4] f32.
const STEPS_UP: usize = memory.data(256, 16);
for (let q: usize = 0; q < 16; q++) {
  const level = <f32>load<i8>(IQ4_LEVELS + q);
  const next = <f32>load<i8>(IQ4_LEVELS + min<usize>(q + 1, 15));
  store<f32>(STEPS_UP + q * 16, q < 15 ? load<f32>(MIDPOINTS + q * 4) : Infinity);
  store<f32>(STEPS_UP + q * 16, level, 4);
  store<u32>(STEPS_UP + q * 16, reinterpret<u32>(level) ^ reinterpret<u32>(next), 8);
}

// As every midpoint is a whole number of halves, the level of v is that of floor(2 v): from -280 to 279, where in STEPS_UP.
const STEP_OF_HALVES: usize = memory.data(560) + 280;
for (let halves = -280, q: usize = 0; halves < 280; halves++) {
  while (q < 15 && load<f32>(MIDPOINTS + q * 4) * 2 <= <f32>halves) q++;
  store<u8>(STEP_OF_HALVES + halves, q * 16);
}

/** floor(2 v) for each weight under the first candidate, and the least of all others. [32] i32 */
const FIRST_HALVES: usize = memory.data(128, 16);
const LEAST_HALVES: usize = memory.data(128, 16);

/** Finds the scale with the least squared error, weighted by `w`, of scale * level for the 32 floats at `x`. */
export function search_iq4(x: usize, w: usize): f32 {
  const extreme = signed_absmax32(x);
  if (abs(extreme) < EPSILON) return 0;
  for (let i: usize = 0; i < IQ4_CANDIDATES * 4; i += 16) {
    v128.store(ISCALES + i, f32x4.div(v128.load(REACHES + i), f32x4.splat(extreme)));
  }
  // The first one ggml computes as the inverse of the scale, which may differ in the last bit.
  store<f32>(ISCALES, 1 / (extreme / 127));
  const first = v128.load32_splat(ISCALES);
  const largest = v128.load32_splat(ISCALES, 4);
  const least = v128.load32_splat(ISCALES, 60);
  for (let j: usize = 0; j < 128; j += 16) {
    const v = v128.load(x + j);
    v128.store(FIRST_HALVES + j, floor_halves(f32x4.mul(first, v)));
    v128.store(LEAST_HALVES + j, floor_halves(f32x4.pmin(f32x4.mul(largest, v), f32x4.mul(least, v))));
  }
  sum_iq4(x, w, 0);
  sum_iq4(x, w, 32);
  const best = best_candidate(IQ4_CANDIDATES);
  return load<f32>(SUM_LL + best) > 0 ? fitted_scale(best) : 0;
}

function floor_halves(v: v128): v128 {
  return whole_i32(f32x4.floor(f32x4.add(v, v)));
}

/**
 * Sums of the eight candidates at ISCALES + `i`. All but the first scale a weight by factors within 134 / 120, which is less
 * than any two midpoints of one sign have between them: so a weight has one level or the next.
 */
function sum_iq4(x: usize, w: usize, i: usize): void {
  const iscale_a = v128.load(ISCALES + i);
  const iscale_b = v128.load(ISCALES + i, 16);
  let lx_a = f32x4.splat(0);
  let lx_b = f32x4.splat(0);
  let ll_a = f32x4.splat(0);
  let ll_b = f32x4.splat(0);
  for (let j: usize = 0; j < 128; j += 4) {
    const step = STEPS_UP + <usize>load<u8>(STEP_OF_HALVES + load<i32>(LEAST_HALVES + j));
    const end = v128.load32_splat(step);
    const lower = v128.load32_splat(step, 4);
    const turn = v128.load32_splat(step, 8);
    const v = v128.load32_splat(x + j);
    const weight = v128.load32_splat(w + j);
    let l_a = v128.xor(lower, v128.and(turn, f32x4.ge(f32x4.mul(iscale_a, v), end)));
    const l_b = v128.xor(lower, v128.and(turn, f32x4.ge(f32x4.mul(iscale_b, v), end)));
    if (i === 0) {
      const own = STEPS_UP + <usize>load<u8>(STEP_OF_HALVES + load<i32>(FIRST_HALVES + j));
      l_a = v128.load32_lane(own, l_a, 0, 4);
    }
    const wl_a = f32x4.mul(weight, l_a);
    const wl_b = f32x4.mul(weight, l_b);
    lx_a = f32x4.add(lx_a, f32x4.mul(wl_a, v));
    lx_b = f32x4.add(lx_b, f32x4.mul(wl_b, v));
    ll_a = f32x4.add(ll_a, f32x4.mul(wl_a, l_a));
    ll_b = f32x4.add(ll_b, f32x4.mul(wl_b, l_b));
  }
  v128.store(SUM_LX + i, lx_a);
  v128.store(SUM_LX + i, lx_b, 16);
  v128.store(SUM_LL + i, ll_a);
  v128.store(SUM_LL + i, ll_b, 16);
}

const QUANTS: usize = memory.data(16, 16);

/** Numbers, as bytes, of the levels nearest to the sixteen floats at `x` times `iscale`; a NaN has the highest, as in ggml. */
export function iq4_quants(x: usize, iscale: v128): v128 {
  for (let j: usize = 0; j < 64; j += 16) {
    // All beyond the table have the level at its end.
    const v = f32x4.pmin(f32x4.splat(139), f32x4.mul(iscale, v128.load(x + j)));
    v128.store(FIRST_HALVES + j, floor_halves(f32x4.pmax(v, f32x4.splat(-139))));
  }
  for (let k: usize = 0; k < 16; k++) {
    store<u8>(QUANTS + k, load<u8>(STEP_OF_HALVES + load<i32>(FIRST_HALVES + k * 4)));
  }
  return i8x16.shr_u(v128.load(QUANTS), 4);
}

/** The candidate, as an offset into the tables, that leaves the least error: that with the largest lx² / ll. */
function best_candidate(count: usize): usize {
  let best: usize = 0;
  let gain = fitted_scale(0) * load<f32>(SUM_LX);
  for (let i: usize = 4; i < count * 4; i += 4) {
    const lx = load<f32>(SUM_LX + i);
    const ll = load<f32>(SUM_LL + i);
    if (ll > 0 && lx * lx > gain * ll) {
      best = i;
      gain = fitted_scale(i) * lx;
    }
  }
  return best;
}

/** The least-squares scale of a candidate; NaN where the sums are, as in ggml. */
function fitted_scale(i: usize): f32 {
  const ll = load<f32>(SUM_LL + i);
  return ll !== 0 ? load<f32>(SUM_LX + i) / ll : 0;
}
