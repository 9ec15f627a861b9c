// Tiles of matmul_f32.ts for registers of 256 bits.

import { madd } from "./madd";

/**
 * Adds `tokens` tokens × 16 rows, over `steps` of k, to y, as add_tiles of matmul_f32.ts: two panels of W, `w_size` bytes apart, whose
 * sums fill registers of 256 bits.
 */
export function add_wide_tiles(
  x: usize,
  x_stride: usize,
  w: usize,
  w_size: usize,
  y: usize,
  y_stride: usize,
  steps: i32,
  tokens: i32,
): void {
  for (; tokens > 0; tokens -= 4, x += x_stride, y += 4 * y_stride) {
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let a2 = f32x4.splat(0);
    let a3 = f32x4.splat(0);
    let b0 = f32x4.splat(0);
    let b1 = f32x4.splat(0);
    let b2 = f32x4.splat(0);
    let b3 = f32x4.splat(0);
    let c0 = f32x4.splat(0);
    let c1 = f32x4.splat(0);
    let c2 = f32x4.splat(0);
    let c3 = f32x4.splat(0);
    let d0 = f32x4.splat(0);
    let d1 = f32x4.splat(0);
    let d2 = f32x4.splat(0);
    let d3 = f32x4.splat(0);
    let p = x;
    let q = w;
    let u = w + w_size;
    const end = q + <usize>steps * 32;
    // Two steps at once, whose splats lie equally far behind p and next: V8 adds that distance up in each turn, and the other way
    // would for each of the eight. Four steps spill.
    for (const whole = q + <usize>(steps & ~1) * 32; q < whole; p += 32, q += 64, u += 64) {
      const next = p + 16;
      const w0 = v128.load(q);
      const w1 = v128.load(q, 16);
      const w2 = v128.load(u);
      const w3 = v128.load(u, 16);
      const a = v128.load32_splat(p);
      a0 = madd(a0, a, w0);
      a1 = madd(a1, a, w1);
      a2 = madd(a2, a, w2);
      a3 = madd(a3, a, w3);
      const b = v128.load32_splat(p, 4);
      b0 = madd(b0, b, w0);
      b1 = madd(b1, b, w1);
      b2 = madd(b2, b, w2);
      b3 = madd(b3, b, w3);
      const c = v128.load32_splat(p, 8);
      c0 = madd(c0, c, w0);
      c1 = madd(c1, c, w1);
      c2 = madd(c2, c, w2);
      c3 = madd(c3, c, w3);
      const d = v128.load32_splat(p, 12);
      d0 = madd(d0, d, w0);
      d1 = madd(d1, d, w1);
      d2 = madd(d2, d, w2);
      d3 = madd(d3, d, w3);
      const w0_ = v128.load(q, 32);
      const w1_ = v128.load(q, 48);
      const w2_ = v128.load(u, 32);
      const w3_ = v128.load(u, 48);
      const a_ = v128.load32_splat(next);
      a0 = madd(a0, a_, w0_);
      a1 = madd(a1, a_, w1_);
      a2 = madd(a2, a_, w2_);
      a3 = madd(a3, a_, w3_);
      const b_ = v128.load32_splat(next, 4);
      b0 = madd(b0, b_, w0_);
      b1 = madd(b1, b_, w1_);
      b2 = madd(b2, b_, w2_);
      b3 = madd(b3, b_, w3_);
      const c_ = v128.load32_splat(next, 8);
      c0 = madd(c0, c_, w0_);
      c1 = madd(c1, c_, w1_);
      c2 = madd(c2, c_, w2_);
      c3 = madd(c3, c_, w3_);
      const d_ = v128.load32_splat(next, 12);
      d0 = madd(d0, d_, w0_);
      d1 = madd(d1, d_, w1_);
      d2 = madd(d2, d_, w2_);
      d3 = madd(d3, d_, w3_);
    }
    for (; q < end; p += 16, q += 32, u += 32) {
      const w0 = v128.load(q);
      const w1 = v128.load(q, 16);
      const w2 = v128.load(u);
      const w3 = v128.load(u, 16);
      const a = v128.load32_splat(p);
      a0 = madd(a0, a, w0);
      a1 = madd(a1, a, w1);
      a2 = madd(a2, a, w2);
      a3 = madd(a3, a, w3);
      const b = v128.load32_splat(p, 4);
      b0 = madd(b0, b, w0);
      b1 = madd(b1, b, w1);
      b2 = madd(b2, b, w2);
      b3 = madd(b3, b, w3);
      const c = v128.load32_splat(p, 8);
      c0 = madd(c0, c, w0);
      c1 = madd(c1, c, w1);
      c2 = madd(c2, c, w2);
      c3 = madd(c3, c, w3);
      const d = v128.load32_splat(p, 12);
      d0 = madd(d0, d, w0);
      d1 = madd(d1, d, w1);
      d2 = madd(d2, d, w2);
      d3 = madd(d3, d, w3);
    }
    add8(y, a0, a1);
    add8(y + 32, a2, a3);
    add8(y + y_stride, b0, b1);
    add8(y + y_stride + 32, b2, b3);
    add8(y + 2 * y_stride, c0, c1);
    add8(y + 2 * y_stride + 32, c2, c3);
    add8(y + 3 * y_stride, d0, d1);
    add8(y + 3 * y_stride + 32, d2, d3);
  }
}

/** Adds eight floats to those at `y`. */
export function add8(y: usize, low: v128, high: v128): void {
  const before0 = v128.load(y);
  const before1 = v128.load(y, 16);
  v128.store(y, f32x4.add(before0, low));
  v128.store(y, f32x4.add(before1, high), 16);
}
