// Products in f32 with weights that stay as they are stored: panels of 8 rows, [k][8] F32, F16 or BF16. To the bit what
// matmul_f32 gives for the same weights as floats: sums of KC columns at a time, from the first on.
import { KC } from "../gemm/matmul_f32";
import { add8 } from "../gemm/wide_tiles";
import { from_half, half_bits, half_infinity, infinity, two_112 } from "./scales";
import { One, take } from "./token";

export const F32: i32 = 0;
export const F16: i32 = 1;
export const BF16: i32 = 2;

/** The types. Tags for generic functions. */
class Single {}
class Half {}
class Brain {}

/** Bytes that multiply_lean_f32 needs to work in. */
export function lean_scratch_f32(tokens: usize, k: usize): usize {
  return 128 + (tokens === 1 ? k * 4 : 0);
}

/** y[tokens, rows] = x[tokens, k] · W[rows, k]ᵀ; `x` is what pack_blocks4 gives, tokens of y are `stride` bytes apart. */
export function multiply_lean_f32(
  type: i32,
  x: usize,
  w: usize,
  y: usize,
  tokens: usize,
  rows: usize,
  k: usize,
  stride: usize,
  scratch: usize,
): void {
  const token = scratch + 128;
  if (tokens === 1) take<One>(x, k * 16, token);
  const panels = (tokens + 3) >> 2;
  const w_size = k * (type === F32 ? 32 : 16);
  for (let row: usize = 0; row < rows; row += 8, w += w_size, y += 32) {
    const size = min(rows - row, 8) * 4;
    if (tokens === 1) {
      if (type === F32) multiply_row<Single>(token, w, scratch, k);
      else if (type === F16) multiply_row<Half>(token, w, scratch, k);
      else multiply_row<Brain>(token, w, scratch, k);
      memory.copy(y, scratch, size);
      continue;
    }
    for (let t: usize = 0; t < tokens; t += 4) {
      if (type === F32) multiply_tile<Single>(x, panels, t >> 2, w, scratch, k);
      else if (type === F16) multiply_tile<Half>(x, panels, t >> 2, w, scratch, k);
      else multiply_tile<Brain>(x, panels, t >> 2, w, scratch, k);
      for (let i: usize = 0; i < min(tokens - t, 4); i++)
        memory.copy(y + (t + i) * stride, scratch + i * 32, size);
    }
  }
}

/** Eight rows times the token at `x`. */
function multiply_row<T>(x: usize, w: usize, y: usize, k: usize): void {
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  let y0 = f32x4.splat(0);
  let y1 = f32x4.splat(0);
  for (const x_end = x + k * 4; x < x_end; ) {
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    for (const end = min(x + KC * 4, x_end); x < end; x += 4, w += step_size<T>()) {
      const a = v128.load32_splat(x);
      s0 = f32x4.add(s0, f32x4.mul(a, low<T>(w, c0, c1, c2, c3)));
      s1 = f32x4.add(s1, f32x4.mul(a, high<T>(w, c0, c1, c2, c3)));
    }
    y0 = f32x4.add(y0, s0);
    y1 = f32x4.add(y1, s1);
  }
  v128.store(y, y0);
  v128.store(y, y1, 16);
}

/** Eight rows times the four tokens of one of the panels at `x`. */
function multiply_tile<T>(x: usize, panels: usize, panel: usize, w: usize, y: usize, k: usize): void {
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  memory.fill(y, 0, 128);
  for (let done: usize = 0; done < k; done += KC) {
    const steps = min(<usize>KC, k - done);
    let p = x + (panels * done + panel * steps) * 16;
    let s00 = f32x4.splat(0);
    let s01 = f32x4.splat(0);
    let s10 = f32x4.splat(0);
    let s11 = f32x4.splat(0);
    let s20 = f32x4.splat(0);
    let s21 = f32x4.splat(0);
    let s30 = f32x4.splat(0);
    let s31 = f32x4.splat(0);
    for (const end = p + steps * 16; p < end; p += 16, w += step_size<T>()) {
      const w0 = low<T>(w, c0, c1, c2, c3);
      const w1 = high<T>(w, c0, c1, c2, c3);
      const a = v128.load32_splat(p);
      const b = v128.load32_splat(p, 4);
      const c = v128.load32_splat(p, 8);
      const d = v128.load32_splat(p, 12);
      s00 = f32x4.add(s00, f32x4.mul(a, w0));
      s01 = f32x4.add(s01, f32x4.mul(a, w1));
      s10 = f32x4.add(s10, f32x4.mul(b, w0));
      s11 = f32x4.add(s11, f32x4.mul(b, w1));
      s20 = f32x4.add(s20, f32x4.mul(c, w0));
      s21 = f32x4.add(s21, f32x4.mul(c, w1));
      s30 = f32x4.add(s30, f32x4.mul(d, w0));
      s31 = f32x4.add(s31, f32x4.mul(d, w1));
    }
    add8(y, s00, s01);
    add8(y + 32, s10, s11);
    add8(y + 64, s20, s21);
    add8(y + 96, s30, s31);
  }
}

function step_size<T>(): usize {
  return idof<T>() === idof<Single>() ? 32 : 16;
}

/** Rows 0..3 of the column at `w`, as f32. */
function low<T>(w: usize, c0: v128, c1: v128, c2: v128, c3: v128): v128 {
  if (idof<T>() === idof<Single>()) return v128.load(w);
  if (idof<T>() === idof<Brain>()) return i32x4.shl(i32x4.extend_low_i16x8_u(v128.load(w)), 16);
  return from_half(i32x4.extend_low_i16x8_s(v128.load(w)), c0, c1, c2, c3);
}

/** Rows 4..7. */
function high<T>(w: usize, c0: v128, c1: v128, c2: v128, c3: v128): v128 {
  if (idof<T>() === idof<Single>()) return v128.load(w, 16);
  if (idof<T>() === idof<Brain>()) return i32x4.shl(i32x4.extend_high_i16x8_u(v128.load(w)), 16);
  return from_half(i32x4.extend_high_i16x8_s(v128.load(w)), c0, c1, c2, c3);
}
