// A tile of the product, 4 tokens × 8 rows, with the relaxed dot products. Each function adds `blocks` blocks of the panels `w`
// and `x` to the floats at `y`, whose tokens are `stride` bytes apart.
import { back, begin, dot_add, given, pair_ones, scaled, whole } from "./dot";
import { add_scaled } from "./tile";

export function tile_bytes_32<Z>(
  x: usize,
  w: usize,
  y: usize,
  stride: usize,
  blocks: usize,
  zero: i32,
): void {
  const ones = pair_ones();
  let y00 = v128.load(y);
  let y01 = v128.load(y, 16);
  let y10 = v128.load(y + stride);
  let y11 = v128.load(y + stride, 16);
  let y20 = v128.load(y + 2 * stride);
  let y21 = v128.load(y + 2 * stride, 16);
  let y30 = v128.load(y + 3 * stride);
  let y31 = v128.load(y + 3 * stride, 16);
  for (; blocks > 0; blocks--) {
    let s00 = begin(v128.load32_splat(x, 128), zero);
    let s10 = begin(v128.load32_splat(x, 132), zero);
    let s20 = begin(v128.load32_splat(x, 136), zero);
    let s30 = begin(v128.load32_splat(x, 140), zero);
    let s01 = s00;
    let s11 = s10;
    let s21 = s20;
    let s31 = s30;
    for (const end = w + 256; w < end; w += 32, x += 16) {
      const w0 = v128.load(w);
      const w1 = v128.load(w, 16);
      const x0 = v128.load32_splat(x);
      const x1 = v128.load32_splat(x, 4);
      const x2 = v128.load32_splat(x, 8);
      const x3 = v128.load32_splat(x, 12);
      s00 = dot_add(s00, w0, x0);
      s01 = dot_add(s01, w1, x0);
      s10 = dot_add(s10, w0, x1);
      s11 = dot_add(s11, w1, x1);
      s20 = dot_add(s20, w0, x2);
      s21 = dot_add(s21, w1, x2);
      s30 = dot_add(s30, w0, x3);
      s31 = dot_add(s31, w1, x3);
    }
    const d0 = v128.load(w);
    const d1 = v128.load(w, 16);
    const b0 = given<Z>(x + 0, ones);
    const dx0 = v128.load32_splat(x, 16);
    const b1 = given<Z>(x + 4, ones);
    const dx1 = v128.load32_splat(x, 20);
    const b2 = given<Z>(x + 8, ones);
    const dx2 = v128.load32_splat(x, 24);
    const b3 = given<Z>(x + 12, ones);
    const dx3 = v128.load32_splat(x, 28);
    y00 = add_scaled(y00, back<Z>(whole(s00, ones), b0), d0, dx0);
    y01 = add_scaled(y01, back<Z>(whole(s01, ones), b0), d1, dx0);
    y10 = add_scaled(y10, back<Z>(whole(s10, ones), b1), d0, dx1);
    y11 = add_scaled(y11, back<Z>(whole(s11, ones), b1), d1, dx1);
    y20 = add_scaled(y20, back<Z>(whole(s20, ones), b2), d0, dx2);
    y21 = add_scaled(y21, back<Z>(whole(s21, ones), b2), d1, dx2);
    y30 = add_scaled(y30, back<Z>(whole(s30, ones), b3), d0, dx3);
    y31 = add_scaled(y31, back<Z>(whole(s31, ones), b3), d1, dx3);
    w += 32;
    x += 32;
  }
  v128.store(y, y00);
  v128.store(y, y01, 16);
  v128.store(y + stride, y10);
  v128.store(y + stride, y11, 16);
  v128.store(y + 2 * stride, y20);
  v128.store(y + 2 * stride, y21, 16);
  v128.store(y + 3 * stride, y30);
  v128.store(y + 3 * stride, y31, 16);
}

export function tile_bytes_256_32(x: usize, w: usize, y: usize, stride: usize, blocks: usize): void {
  let y00 = v128.load(y);
  let y01 = v128.load(y, 16);
  let y10 = v128.load(y + stride);
  let y11 = v128.load(y + stride, 16);
  let y20 = v128.load(y + 2 * stride);
  let y21 = v128.load(y + 2 * stride, 16);
  let y30 = v128.load(y + 3 * stride);
  let y31 = v128.load(y + 3 * stride, 16);
  for (; blocks > 0; blocks--) {
    let t00 = i32x4.splat(0);
    let t01 = i32x4.splat(0);
    let t10 = i32x4.splat(0);
    let t11 = i32x4.splat(0);
    let t20 = i32x4.splat(0);
    let t21 = i32x4.splat(0);
    let t30 = i32x4.splat(0);
    let t31 = i32x4.splat(0);
    for (const block_end = x + 1024; x < block_end; ) {
      let s00 = i32x4.splat(0);
      let s01 = i32x4.splat(0);
      let s10 = i32x4.splat(0);
      let s11 = i32x4.splat(0);
      let s20 = i32x4.splat(0);
      let s21 = i32x4.splat(0);
      let s30 = i32x4.splat(0);
      let s31 = i32x4.splat(0);
      for (const end = w + 256; w < end; w += 32, x += 16) {
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        const x0 = v128.load32_splat(x);
        const x1 = v128.load32_splat(x, 4);
        const x2 = v128.load32_splat(x, 8);
        const x3 = v128.load32_splat(x, 12);
        s00 = dot_add(s00, w0, x0);
        s01 = dot_add(s01, w1, x0);
        s10 = dot_add(s10, w0, x1);
        s11 = dot_add(s11, w1, x1);
        s20 = dot_add(s20, w0, x2);
        s21 = dot_add(s21, w1, x2);
        s30 = dot_add(s30, w0, x3);
        s31 = dot_add(s31, w1, x3);
      }
      const scale0 = v128.load(w);
      const scale1 = v128.load(w, 16);
      t00 = i32x4.add(t00, scaled(s00, scale0));
      t01 = i32x4.add(t01, scaled(s01, scale1));
      t10 = i32x4.add(t10, scaled(s10, scale0));
      t11 = i32x4.add(t11, scaled(s11, scale1));
      t20 = i32x4.add(t20, scaled(s20, scale0));
      t21 = i32x4.add(t21, scaled(s21, scale1));
      t30 = i32x4.add(t30, scaled(s30, scale0));
      t31 = i32x4.add(t31, scaled(s31, scale1));
      w += 32;
    }
    const d0 = v128.load(w);
    const d1 = v128.load(w, 16);
    const dx0 = v128.load32_splat(x, 256);
    const dx1 = v128.load32_splat(x, 260);
    const dx2 = v128.load32_splat(x, 264);
    const dx3 = v128.load32_splat(x, 268);
    y00 = add_scaled(y00, t00, d0, dx0);
    y01 = add_scaled(y01, t01, d1, dx0);
    y10 = add_scaled(y10, t10, d0, dx1);
    y11 = add_scaled(y11, t11, d1, dx1);
    y20 = add_scaled(y20, t20, d0, dx2);
    y21 = add_scaled(y21, t21, d1, dx2);
    y30 = add_scaled(y30, t30, d0, dx3);
    y31 = add_scaled(y31, t31, d1, dx3);
    w += 32;
    x += 272;
  }
  v128.store(y, y00);
  v128.store(y, y01, 16);
  v128.store(y + stride, y10);
  v128.store(y + stride, y11, 16);
  v128.store(y + 2 * stride, y20);
  v128.store(y + 2 * stride, y21, 16);
  v128.store(y + 3 * stride, y30);
  v128.store(y + 3 * stride, y31, 16);
}

export function tile_bytes_256_16(
  x: usize,
  w: usize,
  y: usize,
  stride: usize,
  blocks: usize,
  zero: i32,
): void {
  let y00 = v128.load(y);
  let y01 = v128.load(y, 16);
  let y10 = v128.load(y + stride);
  let y11 = v128.load(y + stride, 16);
  let y20 = v128.load(y + 2 * stride);
  let y21 = v128.load(y + 2 * stride, 16);
  let y30 = v128.load(y + 3 * stride);
  let y31 = v128.load(y + 3 * stride, 16);
  for (; blocks > 0; blocks--) {
    let t00 = i32x4.splat(0);
    let t01 = i32x4.splat(0);
    let t10 = i32x4.splat(0);
    let t11 = i32x4.splat(0);
    let t20 = i32x4.splat(0);
    let t21 = i32x4.splat(0);
    let t30 = i32x4.splat(0);
    let t31 = i32x4.splat(0);
    let sums = x + 1024;
    for (const block_end = sums; x < block_end; sums += 16) {
      let s00 = begin(v128.load32_splat(sums), zero);
      let s10 = begin(v128.load32_splat(sums, 4), zero);
      let s20 = begin(v128.load32_splat(sums, 8), zero);
      let s30 = begin(v128.load32_splat(sums, 12), zero);
      let s01 = s00;
      let s11 = s10;
      let s21 = s20;
      let s31 = s30;
      for (const end = w + 128; w < end; w += 32, x += 16) {
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        const x0 = v128.load32_splat(x);
        const x1 = v128.load32_splat(x, 4);
        const x2 = v128.load32_splat(x, 8);
        const x3 = v128.load32_splat(x, 12);
        s00 = dot_add(s00, w0, x0);
        s01 = dot_add(s01, w1, x0);
        s10 = dot_add(s10, w0, x1);
        s11 = dot_add(s11, w1, x1);
        s20 = dot_add(s20, w0, x2);
        s21 = dot_add(s21, w1, x2);
        s30 = dot_add(s30, w0, x3);
        s31 = dot_add(s31, w1, x3);
      }
      const scale0 = v128.load(w);
      const scale1 = v128.load(w, 16);
      t00 = i32x4.add(t00, scaled(s00, scale0));
      t01 = i32x4.add(t01, scaled(s01, scale1));
      t10 = i32x4.add(t10, scaled(s10, scale0));
      t11 = i32x4.add(t11, scaled(s11, scale1));
      t20 = i32x4.add(t20, scaled(s20, scale0));
      t21 = i32x4.add(t21, scaled(s21, scale1));
      t30 = i32x4.add(t30, scaled(s30, scale0));
      t31 = i32x4.add(t31, scaled(s31, scale1));
      w += 32;
    }
    const d0 = v128.load(w);
    const d1 = v128.load(w, 16);
    const dx0 = v128.load32_splat(x, 256);
    const dx1 = v128.load32_splat(x, 260);
    const dx2 = v128.load32_splat(x, 264);
    const dx3 = v128.load32_splat(x, 268);
    y00 = add_scaled(y00, t00, d0, dx0);
    y01 = add_scaled(y01, t01, d1, dx0);
    y10 = add_scaled(y10, t10, d0, dx1);
    y11 = add_scaled(y11, t11, d1, dx1);
    y20 = add_scaled(y20, t20, d0, dx2);
    y21 = add_scaled(y21, t21, d1, dx2);
    y30 = add_scaled(y30, t30, d0, dx3);
    y31 = add_scaled(y31, t31, d1, dx3);
    w += 32;
    x += 272;
  }
  v128.store(y, y00);
  v128.store(y, y01, 16);
  v128.store(y + stride, y10);
  v128.store(y + stride, y11, 16);
  v128.store(y + 2 * stride, y20);
  v128.store(y + 2 * stride, y21, 16);
  v128.store(y + 3 * stride, y30);
  v128.store(y + 3 * stride, y31, 16);
}
