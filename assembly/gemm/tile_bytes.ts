// A tile of the product, 4 tokens × 8 rows, with the relaxed dot products.
import { begin, dot_add, scaled, whole } from "./dot";
import { scale_add } from "./tile";

/** What blocks of 256 have summed up so far: 4 tokens × 8 rows of i32. */
const totals = memory.data(128, 16);

export function tile_bytes_32(x: usize, w: usize, y: usize, blocks: usize, zero: i32): void {
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
    scale_add(y, whole(s00), whole(s01), d0, d1, v128.load32_splat(x, 16));
    scale_add(y + 32, whole(s10), whole(s11), d0, d1, v128.load32_splat(x, 20));
    scale_add(y + 64, whole(s20), whole(s21), d0, d1, v128.load32_splat(x, 24));
    scale_add(y + 96, whole(s30), whole(s31), d0, d1, v128.load32_splat(x, 28));
    w += 32;
    x += 32;
  }
}

export function tile_bytes_256_32(x: usize, w: usize, y: usize, blocks: usize, _zero: i32): void {
  for (; blocks > 0; blocks--) {
    clear_totals();
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
      add_total(totals, scaled(s00, scale0), scaled(s01, scale1));
      add_total(totals + 32, scaled(s10, scale0), scaled(s11, scale1));
      add_total(totals + 64, scaled(s20, scale0), scaled(s21, scale1));
      add_total(totals + 96, scaled(s30, scale0), scaled(s31, scale1));
      w += 32;
    }
    scale_add_totals(y, v128.load(w), v128.load(w, 16), x + 256);
    w += 32;
    x += 272;
  }
}

export function tile_bytes_256_16(x: usize, w: usize, y: usize, blocks: usize, zero: i32): void {
  for (; blocks > 0; blocks--) {
    clear_totals();
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
      add_total(totals, scaled(s00, scale0), scaled(s01, scale1));
      add_total(totals + 32, scaled(s10, scale0), scaled(s11, scale1));
      add_total(totals + 64, scaled(s20, scale0), scaled(s21, scale1));
      add_total(totals + 96, scaled(s30, scale0), scaled(s31, scale1));
      w += 32;
    }
    scale_add_totals(y, v128.load(w), v128.load(w, 16), x + 256);
    w += 32;
    x += 272;
  }
}

function clear_totals(): void {
  for (let i: usize = 0; i < 128; i += 16) v128.store(totals + i, i32x4.splat(0));
}

function add_total(total: usize, sum0: v128, sum1: v128): void {
  v128.store(total, i32x4.add(v128.load(total), sum0));
  v128.store(total, i32x4.add(v128.load(total, 16), sum1), 16);
}

function scale_add_totals(y: usize, d0: v128, d1: v128, dx: usize): void {
  for (let t: usize = 0; t < 4; t++) {
    const total = totals + t * 32;
    scale_add(y + t * 32, v128.load(total), v128.load(total, 16), d0, d1, v128.load32_splat(dx + t * 4));
  }
}
