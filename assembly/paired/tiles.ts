// Sixteen sub-blocks laid out for the searches of this folder, one to a lane: row i of the tile, four vectors, holds their
// elements i. They are those of two super-blocks of eight, or of one of sixteen.

import { SUMS } from "../blocks/k/superblock";

/** At most 32 rows of 64 bytes of x; W bytes on, their weights; L bytes on, what a search keeps for each of them. */
export const TILE: usize = memory.data(6400, 64);
/** Not by multiples of 4096 bytes apart: a load behind a store to the same place in another page waits for it. */
export const W: usize = 2112;
export const L: usize = 4288;

/** Bytes of a row. */
export const ROW: usize = 64;

/** Transposes two super-blocks of eight sub-blocks of 32. */
export function load_two(x: usize, other: usize): void {
  transpose(x, 128, TILE);
  transpose(x + 512, 128, TILE + 16);
  transpose(other, 128, TILE + 32);
  transpose(other + 512, 128, TILE + 48);
}

/** Transposes one super-block of sixteen sub-blocks of 16. */
export function load_one(x: usize): void {
  transpose_all(x, 64, TILE);
}

/** Transposes their weights likewise: importances taken as they are. */
export function load_weights_of_two(w: usize, other: usize): void {
  transpose(w, 128, TILE + W);
  transpose(w + 512, 128, TILE + W + 16);
  transpose(other, 128, TILE + W + 32);
  transpose(other + 512, 128, TILE + W + 48);
}

/** Those of the one. */
export function load_weights_of_one(w: usize): void {
  transpose_all(w, 64, TILE + W);
}

function transpose_all(x: usize, size: usize, t: usize): void {
  for (let k: usize = 0; k < 64; k += 16) transpose(x + k * (size / 4), size, t + k);
}

/** Four sub-blocks of `size` bytes, the first at `x`, to a vector of each row at `t`. */
function transpose(x: usize, size: usize, t: usize): void {
  for (const end = x + size; x < end; x += 16, t += 4 * ROW) {
    const a = v128.load(x);
    const b = v128.load(x + size);
    const c = v128.load(x + size * 2);
    const d = v128.load(x + size * 3);
    const ab01 = i32x4.shuffle(a, b, 0, 4, 1, 5);
    const ab23 = i32x4.shuffle(a, b, 2, 6, 3, 7);
    const cd01 = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const cd23 = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v128.store(t, i64x2.shuffle(ab01, cd01, 0, 2));
    v128.store(t, i64x2.shuffle(ab01, cd01, 1, 3), ROW);
    v128.store(t, i64x2.shuffle(ab23, cd23, 0, 2), 2 * ROW);
    v128.store(t, i64x2.shuffle(ab23, cd23, 1, 3), 3 * ROW);
  }
}

/** Weights sqrt(mean of x² over the sub-block of `n`) + |x|, for Q4_K and Q5_K. */
export function weigh_by_magnitude(n: usize): void {
  const size = n * ROW;
  for (let t = TILE; t < TILE + ROW; t += 32) {
    let sum_a = f32x4.splat(0);
    let sum_b = f32x4.splat(0);
    for (let p = t; p < t + size; p += ROW) {
      const a = v128.load(p);
      const b = v128.load(p, 16);
      sum_a = f32x4.add(sum_a, f32x4.mul(a, a));
      sum_b = f32x4.add(sum_b, f32x4.mul(b, b));
    }
    const count = f32x4.splat(<f32>n);
    const average_a = f32x4.sqrt(f32x4.div(sum_a, count));
    const average_b = f32x4.sqrt(f32x4.div(sum_b, count));
    for (let p = t; p < t + size; p += ROW) {
      const a = v128.load(p);
      const b = v128.load(p, 16);
      v128.store(p, f32x4.add(average_a, f32x4.abs(a)), W);
      v128.store(p, f32x4.add(average_b, f32x4.abs(b)), W + 16);
    }
  }
}

/** Weights w * sqrt(sigma² + x²), for importances already in the tile; sigma² of each super-block, or twice of the one. */
export function weigh_by_sigma(n: usize, sigma2: f32, other_sigma2: f32): void {
  weigh_half_by_sigma(TILE, n, sigma2);
  weigh_half_by_sigma(TILE + 32, n, other_sigma2);
}

function weigh_half_by_sigma(t: usize, n: usize, sigma2: f32): void {
  const sigma = f32x4.splat(sigma2);
  for (const end = t + n * ROW; t < end; t += ROW) {
    const a = v128.load(t);
    const b = v128.load(t, 16);
    const w_a = v128.load(t, W);
    const w_b = v128.load(t, W + 16);
    const root_a = f32x4.sqrt(f32x4.add(sigma, f32x4.mul(a, a)));
    const root_b = f32x4.sqrt(f32x4.add(sigma, f32x4.mul(b, b)));
    v128.store(t, f32x4.mul(w_a, root_a), W);
    v128.store(t, f32x4.mul(w_b, root_b), W + 16);
  }
}

/** Weights |x|, for Q2_K. */
export function weigh_by_absolute(): void {
  for (let p = TILE; p < TILE + 16 * ROW; p += 32) {
    const a = v128.load(p);
    const b = v128.load(p, 16);
    v128.store(p, f32x4.abs(a), W);
    v128.store(p, f32x4.abs(b), W + 16);
  }
}

/** Weights x², for Q6_K. */
export function weigh_by_square(): void {
  for (let p = TILE; p < TILE + 16 * ROW; p += 32) {
    const a = v128.load(p);
    const b = v128.load(p, 16);
    v128.store(p, f32x4.mul(a, a), W);
    v128.store(p, f32x4.mul(b, b), W + 16);
  }
}

/** SUMS of the weights of sub-blocks of 16. */
export function sum_weights(): void {
  for (let k: usize = 0; k < ROW; k += 16) {
    let sum = f32x4.splat(0);
    for (let t = TILE + k, end = t + 16 * ROW; t < end; t += ROW) sum = f32x4.add(sum, v128.load(t, W));
    v128.store(SUMS + k, sum);
  }
}
