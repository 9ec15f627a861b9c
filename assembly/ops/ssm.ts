// Mamba's selective scan (arXiv:2312.00752) over one chunk in f32, and the convolution before it. Channels do not
// mix, so four of them go through all tokens at a time; n is a multiple of 4.

import { silu_f32x4 } from "./activations";
import { exp_f32x4 } from "./exp";

/**
 * Causal depthwise convolution: y[t][c] = silu(bias[c] + Σ_j weight[j][c] x[t - kernel + 1 + j][c]), x being 0 before
 * the first token.
 * @param x [tokens][n]
 * @param weight [kernel][n]
 * @param y [tokens][n]; not x
 */
export function ssm_conv(
  x: usize,
  weight: usize,
  bias: usize,
  y: usize,
  tokens: i32,
  n: i32,
  kernel: i32,
): void {
  const row = <usize>n * 4;
  for (let token = 0; token < tokens; token++, x += row, y += row) {
    const first = max(0, kernel - 1 - token);
    for (let c: usize = 0; c < row; c += 16) {
      let sum = v128.load(bias + c);
      for (let j = first; j < kernel; j++) {
        const before = <usize>(kernel - 1 - j) * row;
        sum = f32x4.add(sum, f32x4.mul(v128.load(weight + <usize>j * row + c), v128.load(x - before + c)));
      }
      v128.store(y + c, silu_f32x4(sum));
    }
  }
}

/** x = ln(1 + e^x) for `n` floats; above 20 that is x. */
export function softplus(x: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 4) {
    const value = load<f32>(x);
    if (value <= 20) store<f32>(x, Mathf.log1p(Mathf.exp(value)));
  }
}

/**
 * For each channel c a state of `states` numbers, 0 before the first token:
 *   state[s] = state[s] e^(dt a[s]) + dt x b[t][s],   y[t] = Σ_s state[s] c[t][s] + d x
 * with x, dt, a, d and y those of the channel.
 * @param x [tokens][n]
 * @param dt [tokens][n], behind softplus
 * @param a [states][n], negative
 * @param b [tokens][states]
 * @param c [tokens][states]
 * @param d [n]
 * @param y [tokens][n]; may be x or dt
 * @param scratch states × 32 bytes
 */
export function ssm_scan(
  x: usize,
  dt: usize,
  a: usize,
  b: usize,
  c: usize,
  d: usize,
  y: usize,
  tokens: i32,
  n: i32,
  states: i32,
  scratch: usize,
): void {
  const row = <usize>n * 4;
  const state = scratch;
  const rates = scratch + <usize>states * 16;
  for (let channel: usize = 0; channel < row; channel += 16) {
    for (let s = 0; s < states; s++) {
      v128.store(state + <usize>s * 16, f32x4.splat(0));
      v128.store(rates + <usize>s * 16, v128.load(a + <usize>s * row + channel));
    }
    const skip = v128.load(d + channel);
    for (let token = 0; token < tokens; token++) {
      const at = <usize>token * row + channel;
      const input = v128.load(x + at);
      const step = v128.load(dt + at);
      const fed = f32x4.mul(step, input);
      const inputs = b + <usize>(token * states) * 4;
      const outputs = c + <usize>(token * states) * 4;
      let sum = f32x4.mul(skip, input);
      for (let s: usize = 0; s < <usize>states; s++) {
        const kept = f32x4.mul(
          v128.load(state + s * 16),
          exp_f32x4(f32x4.mul(step, v128.load(rates + s * 16))),
        );
        const next = f32x4.add(kept, f32x4.mul(fed, v128.load32_splat(inputs + s * 4)));
        v128.store(state + s * 16, next);
        sum = f32x4.add(sum, f32x4.mul(next, v128.load32_splat(outputs + s * 4)));
      }
      v128.store(y + at, sum);
    }
  }
}
