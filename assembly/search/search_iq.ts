// What the searches of IQ2 and IQ3 share. A sub-block of 16 or 32 weights is taken as magnitudes and signs; the
// magnitudes are rounded under a number of candidate scales, each group of them to an entry of the codebook, and the
// candidate is kept whose fit by weighted least squares gains most. All in the order of operations of ggml.
//
// A candidate is a column: of bytes in ODDS (2 level + 1 for each weight) and of entries in ENTRIES. Sums over the
// weights of a sub-block go one after the other as in ggml, in a lane for each of four candidates.

/** Candidates that there is room for. The last column is that of the final scale, behind the 31 of IQ3_XXS. */
export const COLUMNS: usize = 32;
export const FINAL: usize = 31;

/** 32 f32 each: magnitudes, weights, and the roots of the weights. */
export const X: usize = memory.data(128, 16);
export const W: usize = memory.data(128, 16);
export const ROOTS: usize = memory.data(128, 16);

/** Inverse scale of each column, the scale itself, and the weighted sums of odd * x and of odd². */
export const ISCALES: usize = memory.data(128, 16);
export const SCALES: usize = memory.data(128, 16);
const SUM_QX: usize = memory.data(128, 16);
const SUM_QQ: usize = memory.data(128, 16);

/** [weight][column] u8 */
export const ODDS: usize = memory.data(1024, 16);
/** [column][group] u16, eight groups at most, with OFF where the levels were no entry themselves. */
export const ENTRIES: usize = memory.data(512, 16);
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

/** Columns 0..2 * reach get the scales that map `most` to top + step * (column - reach). */
export function fill_scales(top: f32, reach: i32, step: f32, most: f32): void {
  for (let c = 0; c <= 2 * reach; c++) set_scale(<usize>c, (top + <f32>(c - reach) * step) / most);
}

export function set_scale(column: usize, iscale: f32): void {
  store<f32>(ISCALES + column * 4, iscale);
  store<f32>(SCALES + column * 4, 1 / iscale);
}

/** Sums of `n` weights for the four columns from `column` on. */
export function sum_up(n: usize, column: usize): void {
  let sum_qx = f32x4.splat(0);
  let sum_qq = f32x4.splat(0);
  for (let i: usize = 0; i < n; i++) {
    const bytes = i16x8.extend_low_i8x16_u(v128.load32_zero(ODDS + i * COLUMNS + column));
    const q = f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(bytes));
    const w = v128.load32_splat(W + i * 4);
    sum_qx = f32x4.add(sum_qx, f32x4.mul(f32x4.mul(w, v128.load32_splat(X + i * 4)), q));
    sum_qq = f32x4.add(sum_qq, f32x4.mul(f32x4.mul(w, q), q));
  }
  v128.store(SUM_QX + column * 4, sum_qx);
  v128.store(SUM_QQ + column * 4, sum_qq);
}

/** The first of `count` columns that gains most, or -1 when none gains. */
export function best_column(n: usize, count: i32): i32 {
  for (let c = 0; c < count; c += 4) sum_up(n, c);
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

/** Whether any of the groups of a column was off the grid. */
export function any_off(column: usize, groups: usize): bool {
  let bits: u32 = 0;
  for (let k: usize = 0; k < groups; k++) bits |= load<u16>(ENTRIES + column * 16 + k * 2);
  return (bits & OFF) !== 0;
}

/** Makes FINAL what a column is. */
export function copy_to_final(n: usize, column: usize): void {
  for (let i: usize = 0; i < n; i++) {
    store<u8>(ODDS + i * COLUMNS + FINAL, load<u8>(ODDS + i * COLUMNS + column));
  }
  v128.store(ENTRIES + FINAL * 16, v128.load(ENTRIES + column * 16));
}

/** Entry of group k of FINAL. */
export function final_entry(k: usize): u32 {
  return <u32>load<u16>(ENTRIES + FINAL * 16 + k * 2) & ~OFF;
}
