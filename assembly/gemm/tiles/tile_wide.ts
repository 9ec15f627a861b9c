// A tile of the product, 4 tokens × 16 rows, with the relaxed dot products: two panels of weights, `w_size` bytes apart, so
// that what is loaded of a token serves twice as many rows. The sums fill registers of 256 bits; of 128 there are too few.
// Floats stay in memory, as do sums of a whole block: all of a token's are loaded before one is stored, as V8 pairs nothing
// across a store.
import { back, begin, dot_add, given, pair_ones, scaled, whole } from "./dot";
import { add_scaled } from "./tile";

/** Whether columns share a scale by 16 or by 32. Tags for generic functions. */
export class By16 {}
export class By32 {}

/** Adds `blocks` blocks of the panels at `w` and `x` to the floats at `y`, whose tokens are `stride` bytes apart. */
export function tile_wide_32<Z>(
  x: usize,
  w: usize,
  w_size: usize,
  y: usize,
  stride: usize,
  blocks: usize,
  zero: i32,
): void {
  let u = w + w_size;
  const ones = pair_ones();
  for (; blocks > 0; blocks--) {
    let s00 = begin(v128.load32_splat(x, 128), zero);
    let s10 = begin(v128.load32_splat(x, 132), zero);
    let s20 = begin(v128.load32_splat(x, 136), zero);
    let s30 = begin(v128.load32_splat(x, 140), zero);
    let s01 = s00;
    let s02 = s00;
    let s03 = s00;
    let s11 = s10;
    let s12 = s10;
    let s13 = s10;
    let s21 = s20;
    let s22 = s20;
    let s23 = s20;
    let s31 = s30;
    let s32 = s30;
    let s33 = s30;
    for (const end = w + 256; w < end; w += 32, u += 32, x += 16) {
      const w0 = v128.load(w);
      const w1 = v128.load(w, 16);
      const w2 = v128.load(u);
      const w3 = v128.load(u, 16);
      const x0 = v128.load32_splat(x);
      s00 = dot_add(s00, w0, x0);
      s01 = dot_add(s01, w1, x0);
      s02 = dot_add(s02, w2, x0);
      s03 = dot_add(s03, w3, x0);
      const x1 = v128.load32_splat(x, 4);
      s10 = dot_add(s10, w0, x1);
      s11 = dot_add(s11, w1, x1);
      s12 = dot_add(s12, w2, x1);
      s13 = dot_add(s13, w3, x1);
      const x2 = v128.load32_splat(x, 8);
      s20 = dot_add(s20, w0, x2);
      s21 = dot_add(s21, w1, x2);
      s22 = dot_add(s22, w2, x2);
      s23 = dot_add(s23, w3, x2);
      const x3 = v128.load32_splat(x, 12);
      s30 = dot_add(s30, w0, x3);
      s31 = dot_add(s31, w1, x3);
      s32 = dot_add(s32, w2, x3);
      s33 = dot_add(s33, w3, x3);
    }
    const d0 = v128.load(w);
    const d1 = v128.load(w, 16);
    const d2 = v128.load(u);
    const d3 = v128.load(u, 16);
    const b0 = given<Z>(x + 0, ones);
    const dx0 = v128.load32_splat(x, 16);
    const y00 = v128.load(y);
    const y01 = v128.load(y, 16);
    const y02 = v128.load(y, 32);
    const y03 = v128.load(y, 48);
    v128.store(y, add_scaled(y00, back<Z>(whole(s00, ones), b0), d0, dx0));
    v128.store(y, add_scaled(y01, back<Z>(whole(s01, ones), b0), d1, dx0), 16);
    v128.store(y, add_scaled(y02, back<Z>(whole(s02, ones), b0), d2, dx0), 32);
    v128.store(y, add_scaled(y03, back<Z>(whole(s03, ones), b0), d3, dx0), 48);
    const b1 = given<Z>(x + 4, ones);
    const dx1 = v128.load32_splat(x, 20);
    const y10 = v128.load(y + stride);
    const y11 = v128.load(y + stride, 16);
    const y12 = v128.load(y + stride, 32);
    const y13 = v128.load(y + stride, 48);
    v128.store(y + stride, add_scaled(y10, back<Z>(whole(s10, ones), b1), d0, dx1));
    v128.store(y + stride, add_scaled(y11, back<Z>(whole(s11, ones), b1), d1, dx1), 16);
    v128.store(y + stride, add_scaled(y12, back<Z>(whole(s12, ones), b1), d2, dx1), 32);
    v128.store(y + stride, add_scaled(y13, back<Z>(whole(s13, ones), b1), d3, dx1), 48);
    const b2 = given<Z>(x + 8, ones);
    const dx2 = v128.load32_splat(x, 24);
    const y20 = v128.load(y + 2 * stride);
    const y21 = v128.load(y + 2 * stride, 16);
    const y22 = v128.load(y + 2 * stride, 32);
    const y23 = v128.load(y + 2 * stride, 48);
    v128.store(y + 2 * stride, add_scaled(y20, back<Z>(whole(s20, ones), b2), d0, dx2));
    v128.store(y + 2 * stride, add_scaled(y21, back<Z>(whole(s21, ones), b2), d1, dx2), 16);
    v128.store(y + 2 * stride, add_scaled(y22, back<Z>(whole(s22, ones), b2), d2, dx2), 32);
    v128.store(y + 2 * stride, add_scaled(y23, back<Z>(whole(s23, ones), b2), d3, dx2), 48);
    const b3 = given<Z>(x + 12, ones);
    const dx3 = v128.load32_splat(x, 28);
    const y30 = v128.load(y + 3 * stride);
    const y31 = v128.load(y + 3 * stride, 16);
    const y32 = v128.load(y + 3 * stride, 32);
    const y33 = v128.load(y + 3 * stride, 48);
    v128.store(y + 3 * stride, add_scaled(y30, back<Z>(whole(s30, ones), b3), d0, dx3));
    v128.store(y + 3 * stride, add_scaled(y31, back<Z>(whole(s31, ones), b3), d1, dx3), 16);
    v128.store(y + 3 * stride, add_scaled(y32, back<Z>(whole(s32, ones), b3), d2, dx3), 32);
    v128.store(y + 3 * stride, add_scaled(y33, back<Z>(whole(s33, ones), b3), d3, dx3), 48);
    w += 32;
    u += 32;
    x += 32;
  }
}

/** The same for blocks of 256. At `sums` there are 256 bytes to work in. */
export function tile_wide_256<S>(
  x: usize,
  w: usize,
  w_size: usize,
  y: usize,
  stride: usize,
  blocks: usize,
  zero: i32,
  sums: usize,
): void {
  let u = w + w_size;
  const size: usize = idof<S>() === idof<By16>() ? 128 : 256;
  for (; blocks > 0; blocks--) {
    for (let t = sums; t < sums + 256; t += 32) {
      v128.store(t, i32x4.splat(0));
      v128.store(t, i32x4.splat(0), 16);
    }
    let begins = x + 1024;
    for (const block_end = begins; x < block_end; begins += 16) {
      let s00 = first<S>(begins, zero);
      let s10 = first<S>(begins + 4, zero);
      let s20 = first<S>(begins + 8, zero);
      let s30 = first<S>(begins + 12, zero);
      let s01 = s00;
      let s02 = s00;
      let s03 = s00;
      let s11 = s10;
      let s12 = s10;
      let s13 = s10;
      let s21 = s20;
      let s22 = s20;
      let s23 = s20;
      let s31 = s30;
      let s32 = s30;
      let s33 = s30;
      for (const end = w + size; w < end; w += 32, u += 32, x += 16) {
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        const w2 = v128.load(u);
        const w3 = v128.load(u, 16);
        const x0 = v128.load32_splat(x);
        s00 = dot_add(s00, w0, x0);
        s01 = dot_add(s01, w1, x0);
        s02 = dot_add(s02, w2, x0);
        s03 = dot_add(s03, w3, x0);
        const x1 = v128.load32_splat(x, 4);
        s10 = dot_add(s10, w0, x1);
        s11 = dot_add(s11, w1, x1);
        s12 = dot_add(s12, w2, x1);
        s13 = dot_add(s13, w3, x1);
        const x2 = v128.load32_splat(x, 8);
        s20 = dot_add(s20, w0, x2);
        s21 = dot_add(s21, w1, x2);
        s22 = dot_add(s22, w2, x2);
        s23 = dot_add(s23, w3, x2);
        const x3 = v128.load32_splat(x, 12);
        s30 = dot_add(s30, w0, x3);
        s31 = dot_add(s31, w1, x3);
        s32 = dot_add(s32, w2, x3);
        s33 = dot_add(s33, w3, x3);
      }
      const d0 = v128.load(w);
      const d1 = v128.load(w, 16);
      const d2 = v128.load(u);
      const d3 = v128.load(u, 16);
      const t00 = v128.load(sums);
      const t01 = v128.load(sums, 16);
      const t02 = v128.load(sums, 32);
      const t03 = v128.load(sums, 48);
      v128.store(sums, i32x4.add(t00, scaled(s00, d0)));
      v128.store(sums, i32x4.add(t01, scaled(s01, d1)), 16);
      v128.store(sums, i32x4.add(t02, scaled(s02, d2)), 32);
      v128.store(sums, i32x4.add(t03, scaled(s03, d3)), 48);
      const t10 = v128.load(sums, 64);
      const t11 = v128.load(sums, 80);
      const t12 = v128.load(sums, 96);
      const t13 = v128.load(sums, 112);
      v128.store(sums, i32x4.add(t10, scaled(s10, d0)), 64);
      v128.store(sums, i32x4.add(t11, scaled(s11, d1)), 80);
      v128.store(sums, i32x4.add(t12, scaled(s12, d2)), 96);
      v128.store(sums, i32x4.add(t13, scaled(s13, d3)), 112);
      const t20 = v128.load(sums, 128);
      const t21 = v128.load(sums, 144);
      const t22 = v128.load(sums, 160);
      const t23 = v128.load(sums, 176);
      v128.store(sums, i32x4.add(t20, scaled(s20, d0)), 128);
      v128.store(sums, i32x4.add(t21, scaled(s21, d1)), 144);
      v128.store(sums, i32x4.add(t22, scaled(s22, d2)), 160);
      v128.store(sums, i32x4.add(t23, scaled(s23, d3)), 176);
      const t30 = v128.load(sums, 192);
      const t31 = v128.load(sums, 208);
      const t32 = v128.load(sums, 224);
      const t33 = v128.load(sums, 240);
      v128.store(sums, i32x4.add(t30, scaled(s30, d0)), 192);
      v128.store(sums, i32x4.add(t31, scaled(s31, d1)), 208);
      v128.store(sums, i32x4.add(t32, scaled(s32, d2)), 224);
      v128.store(sums, i32x4.add(t33, scaled(s33, d3)), 240);
      w += 32;
      u += 32;
    }
    let to = y;
    const d0 = v128.load(w);
    const d1 = v128.load(w, 16);
    const d2 = v128.load(u);
    const d3 = v128.load(u, 16);
    for (let t = sums; t < sums + 256; t += 64, to += stride, x += 4) {
      const dx = v128.load32_splat(x, 256);
      const y0 = v128.load(to);
      const y1 = v128.load(to, 16);
      const y2 = v128.load(to, 32);
      const y3 = v128.load(to, 48);
      const t0 = v128.load(t);
      const t1 = v128.load(t, 16);
      const t2 = v128.load(t, 32);
      const t3 = v128.load(t, 48);
      v128.store(to, add_scaled(y0, t0, d0, dx));
      v128.store(to, add_scaled(y1, t1, d1, dx), 16);
      v128.store(to, add_scaled(y2, t2, d2, dx), 32);
      v128.store(to, add_scaled(y3, t3, d3, dx), 48);
    }
    w += 32;
    u += 32;
    x += 256;
  }
}

function first<S>(begins: usize, zero: i32): v128 {
  return idof<S>() === idof<By16>() ? begin(v128.load32_splat(begins), zero) : i32x4.splat(0);
}
