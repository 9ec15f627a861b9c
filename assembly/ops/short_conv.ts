// The short convolution of LFM2 between its two gates, over some tokens of a sequence in f32. Channels do not mix. What a
// sequence has behind it is a state, which is read first and left as the tokens leave it; so pieces of a sequence give what
// the whole does. Without one, 0, the tokens are the first.

/**
 * y[t][c] = g[t][c] Σ_j weight[j][c] u[t - kernel + 1 + j][c] with u = b x, which is 0 before the first token.
 * @param b [tokens][n], stride bytes apart, and so x, which becomes u, and y; y may be g
 * @param weight [kernel][n], weight_stride bytes apart
 * @param state [kernel - 1][n], the last u; 0 for none
 */
export function short_conv(
  b: usize,
  g: usize,
  x: usize,
  y: usize,
  stride: usize,
  weight: usize,
  weight_stride: usize,
  tokens: i32,
  n: i32,
  kernel: i32,
  state: usize,
): void {
  const row = <usize>n * 4;
  const kept = kernel - 1;
  const wide = row & ~15;
  for (let token = 0; token < tokens; token++) {
    const at = <usize>token * stride;
    let c: usize = 0;
    for (; c < wide; c += 16) {
      v128.store(x + at + c, f32x4.mul(v128.load(b + at + c), v128.load(x + at + c)));
    }
    for (; c < row; c += 4) store<f32>(x + at + c, load<f32>(b + at + c) * load<f32>(x + at + c));
    const first = state !== 0 ? 0 : max(0, kept - token);
    for (c = 0; c < wide; c += 16) {
      let sum = f32x4.splat(0);
      for (let j = first; j < kernel; j++) {
        const u = v128.load(input(x, stride, state, row, kept, token - kept + j) + c);
        sum = f32x4.add(sum, f32x4.mul(v128.load(weight + <usize>j * weight_stride + c), u));
      }
      v128.store(y + at + c, f32x4.mul(v128.load(g + at + c), sum));
    }
    for (; c < row; c += 4) {
      let sum: f32 = 0;
      for (let j = first; j < kernel; j++) {
        const u = load<f32>(input(x, stride, state, row, kept, token - kept + j) + c);
        sum += load<f32>(weight + <usize>j * weight_stride + c) * u;
      }
      store<f32>(y + at + c, load<f32>(g + at + c) * sum);
    }
  }
  if (state === 0) return;
  for (let i = 0; i < kept; i++) {
    memory.copy(state + <usize>i * row, input(x, stride, state, row, kept, tokens - kept + i), row);
  }
}

/** Where a token's row is; those before the first are the state's. */
function input(x: usize, stride: usize, state: usize, row: usize, kept: i32, token: i32): usize {
  return token < 0 ? state + <usize>(kept + token) * row : x + <usize>token * stride;
}
