// matmul_f32 with f32x4.relaxed_madd: where the machine can, a product is not rounded before it is added. Faster, and
// the last bits of a result depend on the machine.
import { add8, matmul_panels } from "../matmul_f32";

export function matmul_f32(x: usize, w: usize, y: usize, tokens: i32, rows: i32, k: i32): void {
  matmul_panels(x, w, <usize>k * 32, y, tokens, rows, k, add_tile_fused);
}

/** See add_tile. */
function add_tile_fused(x: usize, w: usize, y: usize, y_stride: usize, steps: i32): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let d0 = f32x4.splat(0);
  let d1 = f32x4.splat(0);
  for (const end = x + <usize>steps * 16; x < end; x += 16, w += 32) {
    const w0 = v128.load(w);
    const w1 = v128.load(w, 16);
    const a = v128.load32_splat(x);
    a0 = f32x4.relaxed_madd(a, w0, a0);
    a1 = f32x4.relaxed_madd(a, w1, a1);
    const b = v128.load32_splat(x, 4);
    b0 = f32x4.relaxed_madd(b, w0, b0);
    b1 = f32x4.relaxed_madd(b, w1, b1);
    const c = v128.load32_splat(x, 8);
    c0 = f32x4.relaxed_madd(c, w0, c0);
    c1 = f32x4.relaxed_madd(c, w1, c1);
    const d = v128.load32_splat(x, 12);
    d0 = f32x4.relaxed_madd(d, w0, d0);
    d1 = f32x4.relaxed_madd(d, w1, d1);
  }
  add8(y, a0, a1);
  add8(y + y_stride, b0, b1);
  add8(y + 2 * y_stride, c0, c1);
  add8(y + 3 * y_stride, d0, d1);
}
