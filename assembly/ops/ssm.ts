// Mamba's selective scan (arXiv:2312.00752) over some tokens of a sequence in f32, and the convolution before it.
// Channels do not mix, so four of them go through all tokens at a time, and a caller may have any of them done: n is a
// multiple of 4, rows of tokens and weights are so many bytes apart. What a sequence has behind it is a state, which is
// read first and left as the tokens leave it; so pieces of a sequence give what the whole does. Without one, 0, the
// tokens are the first.

import { silu_f32x4 } from "./activations";
import { exp_f32x4 } from "./exp";

/**
 * Causal depthwise convolution: y[t][c] = silu(bias[c] + Σ_j weight[j][c] x[t - kernel + 1 + j][c]), x being 0 before
 * the first token.
 * @param x [tokens][n], x_stride bytes apart
 * @param weight [kernel][n], weight_stride bytes apart
 * @param bias [n]; 0 for none
 * @param y [tokens][n], y_stride bytes apart; not x
 * @param state [kernel - 1][n], the last inputs; 0 for none
 */
export function ssm_conv(
  x: usize,
  x_stride: usize,
  weight: usize,
  weight_stride: usize,
  bias: usize,
  y: usize,
  y_stride: usize,
  tokens: i32,
  n: i32,
  kernel: i32,
  state: usize,
): void {
  const row = <usize>n * 4;
  const kept = kernel - 1;
  for (let token = 0; token < tokens; token++, y += y_stride) {
    const first = state !== 0 ? 0 : max(0, kept - token);
    for (let c: usize = 0; c < row; c += 16) {
      let sum = bias !== 0 ? v128.load(bias + c) : f32x4.splat(0);
      for (let j = first; j < kernel; j++) {
        const from = input(x, x_stride, state, row, kept, token - kept + j);
        sum = f32x4.add(
          sum,
          f32x4.mul(v128.load(weight + <usize>j * weight_stride + c), v128.load(from + c)),
        );
      }
      v128.store(y + c, silu_f32x4(sum));
    }
  }
  if (state === 0) return;
  for (let i = 0; i < kept; i++) {
    memory.copy(state + <usize>i * row, input(x, x_stride, state, row, kept, tokens - kept + i), row);
  }
}

/** Where a token's row is; those before the first are the state's. */
function input(x: usize, x_stride: usize, state: usize, row: usize, kept: i32, token: i32): usize {
  return token < 0 ? state + <usize>(kept + token) * row : x + <usize>token * x_stride;
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
 * @param x [tokens][n], and so dt and y; `stride` bytes apart
 * @param dt behind softplus
 * @param a [states][n], negative; a_stride bytes apart
 * @param b [tokens][states]
 * @param c [tokens][states]
 * @param d [n]
 * @param y may be x or dt
 * @param state [states][n]; 0 for none
 * @param scratch states × 32 bytes
 */
export function ssm_scan(
  x: usize,
  dt: usize,
  a: usize,
  a_stride: usize,
  b: usize,
  c: usize,
  d: usize,
  y: usize,
  stride: usize,
  tokens: i32,
  n: i32,
  states: i32,
  state: usize,
  scratch: usize,
): void {
  const row = <usize>n * 4;
  const current = scratch;
  const rates = scratch + <usize>states * 16;
  for (let channel: usize = 0; channel < row; channel += 16) {
    for (let s: usize = 0; s < <usize>states; s++) {
      const before = state === 0 ? f32x4.splat(0) : v128.load(state + s * row + channel);
      v128.store(current + s * 16, before);
      v128.store(rates + s * 16, v128.load(a + s * a_stride + channel));
    }
    const skip = v128.load(d + channel);
    for (let token = 0; token < tokens; token++) {
      const at = <usize>token * stride + channel;
      const input = v128.load(x + at);
      const step = v128.load(dt + at);
      const fed = f32x4.mul(step, input);
      const inputs = b + <usize>(token * states) * 4;
      const outputs = c + <usize>(token * states) * 4;
      let sum = f32x4.mul(skip, input);
      for (let s: usize = 0; s < <usize>states; s++) {
        const kept = f32x4.mul(
          v128.load(current + s * 16),
          exp_f32x4(f32x4.mul(step, v128.load(rates + s * 16))),
        );
        const next = f32x4.add(kept, f32x4.mul(fed, v128.load32_splat(inputs + s * 4)));
        v128.store(current + s * 16, next);
        sum = f32x4.add(sum, f32x4.mul(next, v128.load32_splat(outputs + s * 4)));
      }
      v128.store(y + at, sum);
    }
    if (state === 0) continue;
    for (let s: usize = 0; s < <usize>states; s++) {
      v128.store(state + s * row + channel, v128.load(current + s * 16));
    }
  }
}
