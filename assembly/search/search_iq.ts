// What the searches of IQ2 and IQ3 share. A sub-block of 16 or 32 weights is taken as magnitudes and signs; the
// magnitudes are rounded under a number of candidate scales, each group of them to an entry of the codebook, and the
// candidate is kept whose fit by weighted least squares gains most. All in the order of operations of ggml.
//
// A candidate is a column of entries in ENTRIES. Four go together, a lane each; sums over the weights of a sub-block go one after
// the other as in ggml, as soon as a group of them has its entries.

/** Of 32 columns that there is room for the last is that of the final scale, behind the 31 candidates of IQ3_XXS. */
export const FINAL: usize = 31;

/** 32 f32 each: magnitudes, weights, the roots of the weights, and weights times magnitudes. */
export const X: usize = memory.data(128, 16);
export const W: usize = memory.data(128, 16);
export const ROOTS: usize = memory.data(128, 16);
const WX: usize = memory.data(128, 16);

/** Inverse scale of each column, the scale itself, and the weighted sums of odd * x and of odd². */
export const ISCALES: usize = memory.data(128, 16);
export const SCALES: usize = memory.data(128, 16);
const SUM_QX: usize = memory.data(128, 16);
const SUM_QQ: usize = memory.data(128, 16);

/** [group][column] u16, eight groups at most, with OFF where the levels were no entry themselves. */
const ENTRIES: usize = memory.data(512, 16);
export const OFF: u32 = 0x8000;

/** Magnitudes of `n` floats at `x`, to X; returns a bit for each that was negative. */
export function magnitudes(x: usize, n: usize): u32 {
  let signs: u32 = 0;
  for (let i: usize = 0; i < n; i += 4) {
    const v = v128.load(x + i * 4);
    // Zeros of either sign stay as they are, NaNs count as negative.
    const minus = v128.not(f32x4.ge(v, f32x4.splat(0)));
    v128.store(X + i * 4, v128.bitselect(f32x4.neg(v), v, minus));
    signs |= i32x4.bitmask(minus) << (<i32>i);
  }
  return signs;
}

/**
 * Makes the number of minuses in each group of eight even, as types that store seven signs want it: the weight that it
 * harms least changes sides, its magnitude becoming negative.
 */
export function even_out(x: usize, n: usize, signs: u32): u32 {
  for (let k: usize = 0; k < n; k += 8) {
    if (!(popcnt((signs >> <u32>k) & 255) & 1)) continue;
    let least: f32 = f32.MAX_VALUE;
    let at = k;
    for (let i = k; i < k + 8; i++) {
      const value = load<f32>(x + i * 4);
      const harm = load<f32>(W + i * 4) * value * value;
      if (i === k || harm < least) {
        least = harm;
        at = i;
      }
    }
    store<f32>(X + at * 4, -load<f32>(X + at * 4));
    signs ^= 1 << (<u32>at);
  }
  return signs;
}

/** Weights qw * sqrt(sigma2 + x²) of `n` floats at `x`, to W; with `qw` 0 each importance is 1. */
export function weigh(x: usize, qw: usize, sigma2: f32, n: usize): void {
  const sigma = f32x4.splat(sigma2);
  for (let i: usize = 0; i < n * 4; i += 16) {
    const v = v128.load(x + i);
    const spread = f32x4.sqrt(f32x4.add(sigma, f32x4.mul(v, v)));
    v128.store(W + i, qw ? f32x4.mul(v128.load(qw + i), spread) : spread);
  }
}

/** Weights x² + base, where there is no importance matrix. */
export function weigh_by_square(x: usize, base: f32, n: usize): void {
  for (let i: usize = 0; i < n * 4; i += 16) {
    const v = v128.load(x + i);
    v128.store(W + i, f32x4.add(f32x4.splat(base), f32x4.mul(v, v)));
  }
}

/** Roots of the weights, which is what neighbours are compared by. */
export function take_roots(n: usize): void {
  for (let i: usize = 0; i < n * 4; i += 16) v128.store(ROOTS + i, f32x4.sqrt(v128.load(W + i)));
}

/** Largest magnitude. */
export function largest(n: usize): f32 {
  let most = load<f32>(X);
  for (let i: usize = 1; i < n; i++) {
    const value = load<f32>(X + i * 4);
    if (!(most > value)) most = value;
  }
  return most;
}

/** Largest absolute value, for values that may be negative. NaN where one is. */
export function farthest(n: usize): f32 {
  let most = f32x4.splat(0);
  for (let i: usize = 0; i < n * 4; i += 16) most = f32x4.max(most, f32x4.abs(v128.load(X + i)));
  most = f32x4.max(most, i8x16.shuffle(most, most, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1));
}

/** Columns 0..2 * reach get the scales that map `most` to top + step * (column - reach). */
export function fill_scales(top: f32, reach: i32, step: f32, most: f32): void {
  for (let c = 0; c <= 2 * reach; c += 4) {
    const steps = f32x4.convert_i32x4_s(i32x4.add(i32x4.splat(c - reach), i32x4(0, 1, 2, 3)));
    const tops = f32x4.add(f32x4.splat(top), f32x4.mul(steps, f32x4.splat(step)));
    const iscales = f32x4.div(tops, f32x4.splat(most));
    v128.store(ISCALES + <usize>c * 4, iscales);
    v128.store(SCALES + <usize>c * 4, f32x4.div(f32x4.splat(1), iscales));
  }
}

/** Before the `n` weights of X and W are added up. */
export function begin_sums(n: usize): void {
  for (let i: usize = 0; i < n * 4; i += 16) {
    v128.store(WX + i, f32x4.mul(v128.load(W + i), v128.load(X + i)));
  }
  for (let i: usize = 0; i < 128; i += 16) {
    v128.store(SUM_QX + i, i32x4.splat(0));
    v128.store(SUM_QQ + i, i32x4.splat(0));
  }
}

/** The first of `count` columns that gains most, or -1 when none gains. */
export function best_column(count: i32): i32 {
  let best = -1;
  let gain: f32 = 0;
  for (let c = 0; c < count; c++) {
    const qx = load<f32>(SUM_QX + c * 4);
    const qq = load<f32>(SUM_QQ + c * 4);
    if (!(qq > 0 && qx * qx > gain * qq)) continue;
    gain = (qx / qq) * qx;
    best = c;
  }
  return best;
}

/** The scale that fits a column best, or `scale` where there is none. */
export function fitted(column: usize, scale: f32): f32 {
  const qq = load<f32>(SUM_QQ + column * 4);
  return qq > 0 ? load<f32>(SUM_QX + column * 4) / qq : scale;
}

/** Four columns of group k of eight weights get entries of a grid of `codes`, OFF among their bits. */
export function set_eights(codes: usize, k: usize, column: usize, entries: v128): void {
  const numbers = v128.and(entries, i32x4.splat(OFF - 1));
  let code = i32x4.splat(load<u16>(codes + <usize>i32x4.extract_lane(numbers, 0) * 2));
  code = i32x4.replace_lane(code, 1, load<u16>(codes + <usize>i32x4.extract_lane(numbers, 1) * 2));
  code = i32x4.replace_lane(code, 2, load<u16>(codes + <usize>i32x4.extract_lane(numbers, 2) * 2));
  code = i32x4.replace_lane(code, 3, load<u16>(codes + <usize>i32x4.extract_lane(numbers, 3) * 2));
  store_entries(k, column, entries);
  const levels = v128.load(TWO_BITS);
  const one = v128.load(ONES);
  const x = WX + k * 32;
  const w = W + k * 32;
  const to = column * 4;
  let qx = v128.load(SUM_QX + to);
  let qq = v128.load(SUM_QQ + to);
  let q = odd(v128.and(i32x4.shl(code, 1), levels), one);
  qx = f32x4.add(qx, times(x, q));
  qq = f32x4.add(qq, f32x4.mul(times(w, q), q));
  q = odd(v128.and(i32x4.shr_u(code, 1), levels), one);
  qx = f32x4.add(qx, times(x + 4, q));
  qq = f32x4.add(qq, f32x4.mul(times(w + 4, q), q));
  q = odd(v128.and(i32x4.shr_u(code, 3), levels), one);
  qx = f32x4.add(qx, times(x + 8, q));
  qq = f32x4.add(qq, f32x4.mul(times(w + 8, q), q));
  q = odd(v128.and(i32x4.shr_u(code, 5), levels), one);
  qx = f32x4.add(qx, times(x + 12, q));
  qq = f32x4.add(qq, f32x4.mul(times(w + 12, q), q));
  q = odd(v128.and(i32x4.shr_u(code, 7), levels), one);
  qx = f32x4.add(qx, times(x + 16, q));
  qq = f32x4.add(qq, f32x4.mul(times(w + 16, q), q));
  q = odd(v128.and(i32x4.shr_u(code, 9), levels), one);
  qx = f32x4.add(qx, times(x + 20, q));
  qq = f32x4.add(qq, f32x4.mul(times(w + 20, q), q));
  q = odd(v128.and(i32x4.shr_u(code, 11), levels), one);
  qx = f32x4.add(qx, times(x + 24, q));
  qq = f32x4.add(qq, f32x4.mul(times(w + 24, q), q));
  q = odd(v128.and(i32x4.shr_u(code, 13), levels), one);
  qx = f32x4.add(qx, times(x + 28, q));
  qq = f32x4.add(qq, f32x4.mul(times(w + 28, q), q));
  v128.store(SUM_QX + to, qx);
  v128.store(SUM_QQ + to, qq);
}

/** Four columns of group k of four weights get entries, OFF among their bits, whose levels are in the upper halves, four bits each. */
export function set_fours(k: usize, column: usize, entries: v128): void {
  store_entries(k, column, v128.and(entries, v128.load(LOW_HALVES)));
  const levels = v128.load(FOUR_BITS);
  const one = v128.load(ONES);
  const x = WX + k * 16;
  const w = W + k * 16;
  const to = column * 4;
  let qx = v128.load(SUM_QX + to);
  let qq = v128.load(SUM_QQ + to);
  let q = odd(v128.and(i32x4.shr_u(entries, 15), levels), one);
  qx = f32x4.add(qx, times(x, q));
  qq = f32x4.add(qq, f32x4.mul(times(w, q), q));
  q = odd(v128.and(i32x4.shr_u(entries, 19), levels), one);
  qx = f32x4.add(qx, times(x + 4, q));
  qq = f32x4.add(qq, f32x4.mul(times(w + 4, q), q));
  q = odd(v128.and(i32x4.shr_u(entries, 23), levels), one);
  qx = f32x4.add(qx, times(x + 8, q));
  qq = f32x4.add(qq, f32x4.mul(times(w + 8, q), q));
  q = odd(v128.and(i32x4.shr_u(entries, 27), levels), one);
  qx = f32x4.add(qx, times(x + 12, q));
  qq = f32x4.add(qq, f32x4.mul(times(w + 12, q), q));
  v128.store(SUM_QX + to, qx);
  v128.store(SUM_QQ + to, qq);
}

/** FINAL's group k gets the last of four entries. */
export function set_final(k: usize, entries: v128): void {
  store<u16>(ENTRIES + k * 64 + FINAL * 2, i32x4.extract_lane(entries, 3));
}

function store_entries(k: usize, column: usize, entries: v128): void {
  v128.store64_lane(ENTRIES + k * 64 + column * 2, i16x8.narrow_i32x4_u(entries, entries), 0);
}

/** Where twice a level is. */
const TWO_BITS: usize = memory.data<i32>([6, 6, 6, 6], 16);
const FOUR_BITS: usize = memory.data<i32>([30, 30, 30, 30], 16);
const ONES: usize = memory.data<i32>([1, 1, 1, 1], 16);
const LOW_HALVES: usize = memory.data<i32>([0xffff, 0xffff, 0xffff, 0xffff], 16);

function odd(twice: v128, one: v128): v128 {
  return f32x4.convert_i32x4_s(v128.or(twice, one));
}

/** The float at `x` times each of four. */
function times(x: usize, q: v128): v128 {
  return f32x4.mul(v128.load32_splat(x), q);
}

/** Sums of the `n` weights of FINAL, whose groups have entries of a grid of `codes`. */
export function sum_final(codes: usize, n: usize, size: usize): void {
  const bits: u32 = size === 8 ? 2 : 4;
  let sum_qx: f32 = 0;
  let sum_qq: f32 = 0;
  let code: u32 = 0;
  for (let i: usize = 0; i < n; i++, code >>= bits) {
    if (i % size === 0) code = load<u16>(codes + <usize>final_entry(i / size) * 2);
    const q = <f32>(<i32>((code & ((1 << bits) - 1)) * 2 + 1));
    sum_qx += load<f32>(WX + i * 4) * q;
    sum_qq += load<f32>(W + i * 4) * q * q;
  }
  store<f32>(SUM_QX + FINAL * 4, sum_qx);
  store<f32>(SUM_QQ + FINAL * 4, sum_qq);
}

/** Whether group k of a column was off the grid. */
export function is_off(k: usize, column: usize): bool {
  return (load<u16>(ENTRIES + k * 64 + column * 2) & OFF) !== 0;
}

/** Whether any group of a column was off the grid. */
export function any_off(groups: usize, column: usize): bool {
  for (let k: usize = 0; k < groups; k++) if (is_off(k, column)) return true;
  return false;
}

/** The signs for the magnitude of a scale. */
export function turned(signs: u32, scale: f32): u32 {
  return scale < 0 ? ~signs : signs;
}

/** Makes FINAL what a column is. */
export function copy_to_final(groups: usize, column: usize): void {
  for (let k: usize = 0; k < groups; k++) {
    store<u16>(ENTRIES + k * 64 + FINAL * 2, load<u16>(ENTRIES + k * 64 + column * 2));
  }
}

/** FINAL is entry 0, the lowest levels. */
export function set_lowest(groups: usize): void {
  for (let k: usize = 0; k < groups; k++) store<u16>(ENTRIES + k * 64 + FINAL * 2, 0);
}

/** Entry of group k of FINAL. */
export function final_entry(k: usize): u32 {
  return <u32>load<u16>(ENTRIES + k * 64 + FINAL * 2) & ~OFF;
}
