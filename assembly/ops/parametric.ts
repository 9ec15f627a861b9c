// Activations with parameters of the model, in f32; n is a multiple of 8, y may be an input.
import { exp_f32x4 } from "./exp";

/** gpt-oss's gate: y = min(g, limit) σ(alpha min(g, limit)) (min(max(u, -limit), limit) + 1), of gate g and up u. */
export function clamped_swiglu_mul(gate: usize, up: usize, y: usize, n: i32, alpha: f32, limit: f32): void {
  const top = f32x4.splat(limit);
  const bottom = f32x4.splat(-limit);
  const one = f32x4.splat(1);
  for (const end = gate + <usize>n * 4; gate < end; gate += 16, up += 16, y += 16) {
    const g = f32x4.min(v128.load(gate), top);
    const u = f32x4.max(f32x4.min(v128.load(up), top), bottom);
    const swish = f32x4.div(g, f32x4.add(one, exp_f32x4(f32x4.mul(g, f32x4.splat(-alpha)))));
    v128.store(y, f32x4.mul(swish, f32x4.add(u, one)));
  }
}

/**
 * xIELU (arXiv:2411.13010): y = alpha_p x² + beta x for x > 0, else alpha_n (e^min(x, eps) - 1 - x) + beta x; the alphas
 * as they multiply, eps a little below 0.
 */
export function xielu(x: usize, y: usize, n: i32, alpha_p: f32, alpha_n: f32, beta: f32, eps: f32): void {
  for (const end = x + <usize>n * 4; x < end; x += 16, y += 16) {
    const v = v128.load(x);
    const square = f32x4.mul(f32x4.splat(alpha_p), f32x4.mul(v, v));
    const m = f32x4.min(v, f32x4.splat(eps));
    const curve = f32x4.mul(f32x4.splat(alpha_n), f32x4.add(beyond_line(m), f32x4.sub(m, v)));
    const bent = v128.bitselect(square, curve, f32x4.gt(v, f32x4.splat(0)));
    v128.store(y, f32x4.add(bent, f32x4.mul(f32x4.splat(beta), v)));
  }
}

/** e^x - 1 - x for x <= 0: above -0.5 by its series, where the difference would lose digits. */
function beyond_line(x: v128): v128 {
  let p = f32x4.splat(1.0 / 40320);
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(1.0 / 5040));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(1.0 / 720));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(1.0 / 120));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(1.0 / 24));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(1.0 / 6));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(0.5));
  const series = f32x4.mul(f32x4.mul(x, x), p);
  const whole = f32x4.sub(f32x4.sub(exp_f32x4(x), f32x4.splat(1)), x);
  return v128.bitselect(series, whole, f32x4.gt(x, f32x4.splat(-0.5)));
}
