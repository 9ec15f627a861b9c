// y[tokens, rows] = x[tokens, k] · W[rows, k]ᵀ in f32, plain multiply and add.
//
// Both operands are packed, so that the inner loop reads straight on: x as panels of 4 tokens, W as panels of
// 8 rows, each panel [k][4 or 8], the last one filled up with zeros. A tile of 4 × 8 outputs stays in registers
// for KC steps of k; then it is added to y. Of x the same KC steps of all panels lie together, as they are read:
// a quarter faster where k is large than panels that each go on to their end. The order of additions depends on k alone: neither the number of
// tokens nor the place of a row changes an output's bits. Where registers have 256 bits, a tile has 16 rows.
import { bits } from "./bits";
import { madd } from "./madd";
import { add_wide_tiles, add8 } from "./wide_tiles";

/** Steps of k for which a tile stays in registers: 8 kB of a W panel in the L1 cache. */
export const KC: i32 = 256;
/** Tokens worked on at a time: TOKENS × KC of x in the L2 cache while a slab of W passes. */
const TOKENS: i32 = 256;

/** Packs `rows` rows of `n` floats, `stride` bytes apart, into panels of four [n][4]. */
export function pack_panels4(x: usize, stride: usize, rows: i32, n: i32, y: usize): void {
  for (; rows > 0; rows -= 4, x += 4 * stride, y += <usize>n * 16) pack4(x, stride, min(rows, 4), n, y, 16);
}

/** The same, cut after every KC floats: [n / KC][panels][KC][4], where the last KC may be fewer. */
export function pack_blocks4(x: usize, stride: usize, rows: i32, n: i32, y: usize): void {
  const padded = <usize>((rows + 3) & ~3);
  for (let done = 0; done < n; done += KC, x += KC * 4) {
    const steps = min(KC, n - done);
    pack_panels4(x, stride, rows, steps, y);
    y += padded * <usize>steps * 4;
  }
}

/** Packs `rows` rows of `n` floats, `stride` bytes apart, into panels of eight [n][8]. */
export function pack_panels8(x: usize, stride: usize, rows: i32, n: i32, y: usize): void {
  for (; rows > 0; rows -= 8, x += 8 * stride, y += <usize>n * 32) {
    pack4(x, stride, min(rows, 4), n, y, 32);
    pack4(x + 4 * stride, stride, min(rows - 4, 4), n, y + 16, 32);
  }
}

/** Four rows (those from `rows` on are zero) as columns: float i of each goes to y + i × step. */
export function pack4(x: usize, stride: usize, rows: i32, n: i32, y: usize, step: usize): void {
  if (rows === 4) {
    const whole = n & ~3;
    for (const end = x + <usize>whole * 4; x < end; x += 16, y += 4 * step) {
      const a = v128.load(x);
      const b = v128.load(x + stride);
      const c = v128.load(x + 2 * stride);
      const d = v128.load(x + 3 * stride);
      const ab_low = i32x4.shuffle(a, b, 0, 4, 1, 5);
      const ab_high = i32x4.shuffle(a, b, 2, 6, 3, 7);
      const cd_low = i32x4.shuffle(c, d, 0, 4, 1, 5);
      const cd_high = i32x4.shuffle(c, d, 2, 6, 3, 7);
      v128.store(y, i64x2.shuffle(ab_low, cd_low, 0, 2));
      v128.store(y + step, i64x2.shuffle(ab_low, cd_low, 1, 3));
      v128.store(y + 2 * step, i64x2.shuffle(ab_high, cd_high, 0, 2));
      v128.store(y + 3 * step, i64x2.shuffle(ab_high, cd_high, 1, 3));
    }
    n -= whole;
  }
  for (let i = 0; i < n; i++, x += 4, y += step) {
    for (let row = 0; row < 4; row++) {
      store<f32>(y + ((<usize>row) << 2), row < rows ? load<f32>(x + <usize>row * stride) : 0);
    }
  }
}

/**
 * The product of operands from pack_blocks4 and pack_panels8. y has rows of round_up(rows, 8) floats, and round_up(tokens, 4) of them;
 * what is beyond tokens and rows is zero.
 */
export function matmul_f32(x: usize, w: usize, y: usize, tokens: i32, rows: i32, k: i32): void {
  matmul_panels(x, w, <usize>k * 32, y, tokens, rows, k);
}

/** The same with the panels of W `w_stride` bytes apart, so that a part of k can be multiplied. */
export function matmul_panels(
  x: usize,
  w: usize,
  w_stride: usize,
  y: usize,
  tokens: i32,
  rows: i32,
  k: i32,
): void {
  const padded = (tokens + 3) & ~3;
  const y_stride = <usize>((rows + 7) & ~7) * 4;
  memory.fill(y, 0, <usize>padded * y_stride);
  for (let first = 0; first < padded; first += TOKENS) {
    const count = min(TOKENS, padded - first);
    for (let done = 0; done < k; done += KC) {
      const steps = min(KC, k - done);
      const x_stride = <usize>steps * 16;
      const tokens4 = x + <usize>padded * <usize>done * 4 + <usize>(first >> 2) * x_stride;
      for (let row = 0; row < rows; ) {
        const panel = w + <usize>(row >> 3) * w_stride + <usize>done * 32;
        const to = y + <usize>first * y_stride + <usize>row * 4;
        if (bits === 256 && row + 8 < rows) {
          add_wide_tiles(tokens4, x_stride, panel, w_stride, to, y_stride, steps, count);
          row += 16;
        } else {
          add_tiles(tokens4, x_stride, panel, to, y_stride, steps, count);
          row += 8;
        }
      }
    }
  }
}

/** Adds `tokens` tokens × 8 rows, over `steps` of k, to y. */
export function add_tiles(
  x: usize,
  x_stride: usize,
  w: usize,
  y: usize,
  y_stride: usize,
  steps: i32,
  tokens: i32,
): void {
  for (; tokens > 0; tokens -= 4, x += x_stride, y += 4 * y_stride) {
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let b0 = f32x4.splat(0);
    let b1 = f32x4.splat(0);
    let c0 = f32x4.splat(0);
    let c1 = f32x4.splat(0);
    let d0 = f32x4.splat(0);
    let d1 = f32x4.splat(0);
    let p = x;
    let q = w;
    // Rolled on purpose: when it is unrolled by hand, V8 loads ahead and spills the sums. The loop over tokens is in
    // this function so that V8 unrolls the one in it, which it does more often the deeper a loop is.
    for (const end = q + <usize>steps * 32; q < end; p += 16, q += 32) {
      const w0 = v128.load(q);
      const w1 = v128.load(q, 16);
      const a = v128.load32_splat(p);
      const b = v128.load32_splat(p, 4);
      const c = v128.load32_splat(p, 8);
      const d = v128.load32_splat(p, 12);
      a0 = madd(a0, a, w0);
      a1 = madd(a1, a, w1);
      b0 = madd(b0, b, w0);
      b1 = madd(b1, b, w1);
      c0 = madd(c0, c, w0);
      c1 = madd(c1, c, w1);
      d0 = madd(d0, d, w0);
      d1 = madd(d1, d, w1);
    }
    add8(y, a0, a1);
    add8(y + y_stride, b0, b1);
    add8(y + 2 * y_stride, c0, c1);
    add8(y + 3 * y_stride, d0, d1);
  }
}

/** The same for rows of x as they are, one at a time, and `panels` panels of W: what is left of fours. */
export function add_rows(
  x: usize,
  x_stride: usize,
  w: usize,
  w_stride: usize,
  panels: i32,
  y: usize,
  y_stride: usize,
  steps: i32,
  tokens: i32,
): void {
  for (; tokens > 0; tokens--, x += x_stride, y += y_stride) {
    let panel = w;
    let to = y;
    let left = panels;
    // Four panels at once: a sum waits for its last addition.
    for (; left >= 4; left -= 4, panel += 4 * w_stride, to += 128) {
      let a0 = f32x4.splat(0);
      let a1 = f32x4.splat(0);
      let b0 = f32x4.splat(0);
      let b1 = f32x4.splat(0);
      let c0 = f32x4.splat(0);
      let c1 = f32x4.splat(0);
      let d0 = f32x4.splat(0);
      let d1 = f32x4.splat(0);
      let p = x;
      let a = panel;
      let b = panel + w_stride;
      let c = panel + 2 * w_stride;
      let d = panel + 3 * w_stride;
      for (const end = p + <usize>steps * 4; p < end; p += 4, a += 32, b += 32, c += 32, d += 32) {
        const by = v128.load32_splat(p);
        a0 = madd(a0, by, v128.load(a));
        a1 = madd(a1, by, v128.load(a, 16));
        b0 = madd(b0, by, v128.load(b));
        b1 = madd(b1, by, v128.load(b, 16));
        c0 = madd(c0, by, v128.load(c));
        c1 = madd(c1, by, v128.load(c, 16));
        d0 = madd(d0, by, v128.load(d));
        d1 = madd(d1, by, v128.load(d, 16));
      }
      add8(to, a0, a1);
      add8(to + 32, b0, b1);
      add8(to + 64, c0, c1);
      add8(to + 96, d0, d1);
    }
    for (; left > 0; left--, panel += w_stride, to += 32) {
      let low = f32x4.splat(0);
      let high = f32x4.splat(0);
      let p = x;
      let a = panel;
      for (const end = p + <usize>steps * 4; p < end; p += 4, a += 32) {
        const by = v128.load32_splat(p);
        low = madd(low, by, v128.load(a));
        high = madd(high, by, v128.load(a, 16));
      }
      add8(to, low, high);
    }
  }
}
