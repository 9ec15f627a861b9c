// Mamba-2's scan (arXiv:2405.21060) over some tokens of a sequence, one head at a time, in f32. What a sequence has behind
// it is a state, which is read first and left as the tokens leave it; so pieces of a sequence give what the whole does.

import { exp } from "./exp";

/**
 * Steps of each head: dt = softplus(dt + bias), kept between least and most.
 * @param dt [tokens][n]
 * @param bias [n]
 */
export function ssm2_steps(dt: usize, bias: usize, least: f32, most: f32, tokens: i32, n: i32): void {
  for (let token = 0; token < tokens; token++) {
    for (let head: usize = 0; head < <usize>n * 4; head += 4) {
      const x = load<f32>(dt + head) + load<f32>(bias + head);
      store<f32>(dt + head, min(max(x > 20 ? x : Mathf.log1p(Mathf.exp(x)), least), most));
    }
    dt += <usize>n * 4;
  }
}

/** Columns of a state that go through all tokens together. */
const COLUMNS: usize = 64;

/**
 * The state S [states][width], before the first token of a sequence 0, of one head:
 *   S = e^(dt rate) S + b (dt x)ᵀ,   y = Sᵀc + d x
 * @param x width floats of each token, x_stride bytes apart; a multiple of 4
 * @param b `states` floats of each token, x_stride bytes apart, and so c
 * @param dt of each token, dt_stride bytes apart
 * @param rate negative
 * @param y width floats of each token, y_stride bytes apart; may be x
 */
export function ssm2_scan(
  x: usize,
  b: usize,
  c: usize,
  x_stride: usize,
  dt: usize,
  dt_stride: usize,
  rate: f32,
  d: f32,
  y: usize,
  y_stride: usize,
  tokens: i32,
  width: i32,
  states: i32,
  state: usize,
): void {
  const row = <usize>width * 4;
  const skip = f32x4.splat(d);
  for (let column: usize = 0; column < row; ) {
    const wide = column + COLUMNS <= row;
    const s = state + column;
    for (let token: usize = 0; token < <usize>tokens; token++) {
      const at = token * x_stride;
      const step = load<f32>(dt + token * dt_stride);
      const kept = f32x4.splat(exp(rate * step));
      const fed = f32x4.splat(step);
      const to = y + token * y_stride + column;
      if (wide) wide_step(x + at + column, b + at, c + at, kept, fed, skip, to, states, s, row);
      else one_step(x + at + column, b + at, c + at, kept, fed, skip, to, states, s, row);
    }
    column += wide ? COLUMNS : 16;
  }
}

/** One token, 4 columns of the state. */
// biome-ignore format: one line
function one_step(x: usize, b: usize, c: usize, kept: v128, dt: v128, skip: v128, y: usize, states: i32, state: usize, row: usize): void {
  const end = <usize>states * 4;
  const input = v128.load(x);
  const fed = f32x4.mul(dt, input);
  let sum = f32x4.mul(skip, input);
  for (let i: usize = 0, s = state; i < end; i += 4, s += row) {
    const next = f32x4.add(f32x4.mul(kept, v128.load(s)), f32x4.mul(fed, v128.load32_splat(b + i)));
    v128.store(s, next);
    sum = f32x4.add(sum, f32x4.mul(next, v128.load32_splat(c + i)));
  }
  v128.store(y, sum);
}

/** The same of 16 columns. */
// biome-ignore format: one line
function wide_step(x: usize, b: usize, c: usize, kept: v128, dt: v128, skip: v128, y: usize, states: i32, state: usize, row: usize): void {
  const end = <usize>states * 4;
  const fed0 = f32x4.mul(dt, v128.load(x));
  const fed1 = f32x4.mul(dt, v128.load(x, 16));
  const fed2 = f32x4.mul(dt, v128.load(x, 32));
  const fed3 = f32x4.mul(dt, v128.load(x, 48));
  let sum0 = f32x4.mul(skip, v128.load(x));
  let sum1 = f32x4.mul(skip, v128.load(x, 16));
  let sum2 = f32x4.mul(skip, v128.load(x, 32));
  let sum3 = f32x4.mul(skip, v128.load(x, 48));
  for (let i: usize = 0, s = state; i < end; i += 4, s += row) {
    const learned = v128.load32_splat(b + i);
    const read = v128.load32_splat(c + i);
    const next0 = f32x4.add(f32x4.mul(kept, v128.load(s)), f32x4.mul(fed0, learned));
    const next1 = f32x4.add(f32x4.mul(kept, v128.load(s, 16)), f32x4.mul(fed1, learned));
    const next2 = f32x4.add(f32x4.mul(kept, v128.load(s, 32)), f32x4.mul(fed2, learned));
    const next3 = f32x4.add(f32x4.mul(kept, v128.load(s, 48)), f32x4.mul(fed3, learned));
    v128.store(s, next0);
    v128.store(s, next1, 16);
    v128.store(s, next2, 32);
    v128.store(s, next3, 48);
    sum0 = f32x4.add(sum0, f32x4.mul(next0, read));
    sum1 = f32x4.add(sum1, f32x4.mul(next1, read));
    sum2 = f32x4.add(sum2, f32x4.mul(next2, read));
    sum3 = f32x4.add(sum3, f32x4.mul(next3, read));
  }
  v128.store(y, sum0);
  v128.store(y, sum1, 16);
  v128.store(y, sum2, 32);
  v128.store(y, sum3, 48);
}
