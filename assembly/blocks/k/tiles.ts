// The super-block at hand, laid out for the scale searches of the K-quants.
//
// A sub-block is searched by one SIMD lane, in exactly ggml's scalar order of operations, so that sums have the same
// last bit. For that the super-block is transposed into tiles: a tile is eight sub-blocks, and row i of it, two vectors,
// holds their elements i. Sub-blocks of 32 make one tile, sub-blocks of 16 make two.
import { sum_squares } from "../../search/search";
import { SUMS } from "./superblock";

/** 1 KiB of tiles of x; W bytes on, their weights; L bytes on, what a search wants to keep for each of them. */
export const TILES: usize = memory.data(3072, 16);
export const W: usize = 1024;
export const L: usize = 2048;

/** Below this magnitude a sub-block counts as zero: GROUP_MAX_EPS in ggml. */
export const EPSILON: f32 = 1e-15;

/** Transposes the super-block at `x`, sub-blocks of `n`. */
export function load_tiles(x: usize, n: usize): void {
  transpose(x, TILES, n);
}

function transpose(x: usize, t: usize, n: usize): void {
  const size = n * 4;
  for (const end = t + 1024; t < end; x += size * 7) {
    for (const next = x + size; x < next; x += 16, t += 128) {
      transpose_four(x, size, t);
      transpose_four(x + size * 4, size, t + 16);
    }
  }
}

/** Four floats of each of four sub-blocks of `size` bytes, the first at `x`, to half of four rows at `t`. */
function transpose_four(x: usize, size: usize, t: usize): void {
  const a = v128.load(x);
  const b = v128.load(x + size);
  const c = v128.load(x + size * 2);
  const d = v128.load(x + size * 3);
  const ab01 = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const ab23 = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const cd01 = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const cd23 = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(t, i64x2.shuffle(ab01, cd01, 0, 2));
  v128.store(t, i64x2.shuffle(ab01, cd01, 1, 3), 32);
  v128.store(t, i64x2.shuffle(ab23, cd23, 0, 2), 64);
  v128.store(t, i64x2.shuffle(ab23, cd23, 1, 3), 96);
}

/** Where the first element of sub-block `j` is, of sub-blocks of `n`; the next is a row, 32 bytes, further. */
export function lane(j: usize, n: usize): usize {
  return TILES + (j >> 3) * n * 32 + (j & 7) * 4;
}

/** Transposes the weights at `w` likewise: an importance matrix taken as it is. */
export function load_weights(w: usize, n: usize): void {
  transpose(w, TILES + W, n);
}

/** Weights sqrt(mean of x² over the sub-block) + |x|, for Q4_K and Q5_K. */
export function weigh_by_magnitude(n: usize): void {
  for (let j: usize = 0; j < 256 / n; j += 4) {
    const t = lane(j, n);
    let sum = f32x4.splat(0);
    for (let p = t; p < t + n * 32; p += 32) {
      const x = v128.load(p);
      sum = f32x4.add(sum, f32x4.mul(x, x));
    }
    const average = f32x4.sqrt(f32x4.div(sum, f32x4.splat(<f32>n)));
    for (let p = t; p < t + n * 32; p += 32) v128.store(p, f32x4.add(average, f32x4.abs(v128.load(p))), W);
  }
}

/**
 * Weights w * sqrt(sigma² + x²), for the row's importance matrix `w` at the super-block; sigma² is `factor` times the
 * mean of x² over the super-block at `x`.
 */
export function weigh_by_importance(x: usize, w: usize, n: usize, factor: f32): void {
  weigh_by_sigma(w, n, (factor * sum_squares(x, 256)) / 256);
}

/** Weights w * sqrt(sigma² + x²), for the row's importance matrix `w` at the super-block. */
export function weigh_by_sigma(w: usize, n: usize, sigma2: f32): void {
  load_weights(w, n);
  for (let p = TILES; p < TILES + 1024; p += 16) {
    const x = v128.load(p);
    const sigma = f32x4.sqrt(f32x4.add(f32x4.splat(sigma2), f32x4.mul(x, x)));
    v128.store(p, f32x4.mul(v128.load(p, W), sigma), W);
  }
}

/** Weights |x|, for Q2_K. */
export function weigh_by_absolute(): void {
  for (let p = TILES; p < TILES + 1024; p += 16) v128.store(p, f32x4.abs(v128.load(p)), W);
}

/** Weights x², for Q6_K. */
export function weigh_by_square(): void {
  for (let p = TILES; p < TILES + 1024; p += 16) {
    const x = v128.load(p);
    v128.store(p, f32x4.mul(x, x), W);
  }
}

/** Replaces the `chosen` lanes of the vector at `y`. */
export function choose(y: usize, value: v128, chosen: v128): void {
  v128.store(y, v128.bitselect(value, v128.load(y), chosen));
}

/** SUMS of the weights of sub-blocks of 16. */
export function sum_weights(): void {
  for (let j: usize = 0; j < 16; j += 4) {
    const t = lane(j, 16);
    let sum = f32x4.splat(0);
    for (let p = t; p < t + 512; p += 32) sum = f32x4.add(sum, v128.load(p, W));
    v128.store(SUMS + j * 4, sum);
  }
}

/** The elements of largest magnitude in four sub-blocks of 16 at `t`; of equal magnitudes the first. */
export function first_extreme(t: usize): v128 {
  let extreme = f32x4.splat(0);
  for (let p = t; p < t + 512; p += 32) {
    const x = v128.load(p);
    extreme = v128.bitselect(x, extreme, f32x4.gt(f32x4.abs(x), f32x4.abs(extreme)));
  }
  return extreme;
}
