// Kimi delta attention (arXiv:2510.26692) over some tokens of a sequence, one head at a time, in f32: a delta net whose
// state forgets in each key channel by a number of its own. What a sequence has behind it is a state, which is read first
// and left as the tokens leave it; so pieces of a sequence give what the whole does.

import { exp, exp_f32x4 } from "./exp";

/**
 * What channels forget and how much heads learn: decay = e^(rate × softplus(a + bias)), beta = sigmoid(b), in place.
 * @param a heads × width floats of each token, a_stride bytes apart; width a multiple of 4
 * @param b `heads` floats of each token, b_stride bytes apart
 * @param bias [heads][width]
 * @param rate [heads], negative
 */
export function kda_gates(
  a: usize,
  a_stride: usize,
  b: usize,
  b_stride: usize,
  bias: usize,
  rate: usize,
  tokens: i32,
  heads: i32,
  width: i32,
): void {
  const row = <usize>width * 4;
  for (let token = 0; token < tokens; token++, a += a_stride, b += b_stride) {
    for (let head: usize = 0; head < <usize>heads; head++) {
      const learned = b + head * 4;
      store<f32>(learned, 1 / (1 + exp(-load<f32>(learned))));
      const rates = f32x4.splat(load<f32>(rate + head * 4));
      for (let at = head * row; at < (head + 1) * row; at += 16) {
        for (let channel = at; channel < at + 16; channel += 4) {
          const x = load<f32>(a + channel) + load<f32>(bias + channel);
          store<f32>(a + channel, x > 20 ? x : Mathf.log1p(Mathf.exp(x)));
        }
        v128.store(a + at, exp_f32x4(f32x4.mul(rates, v128.load(a + at))));
      }
    }
  }
}

/**
 * The state S [k_length][v_length], before the first token of a sequence 0, of one head:
 *   S = diag(decay) S,   S += k (beta (v - Sᵀk))ᵀ,   o = Sᵀq
 * @param q k_length floats of each token, x_stride bytes apart, and so k and decay; q and k of unit length, q scaled
 * @param v v_length floats of each token, x_stride bytes apart; v_length a multiple of 4
 * @param beta of each token, beta_stride bytes apart
 * @param o v_length floats of each token, x_stride bytes apart; not v
 */
export function kda_scan(
  q: usize,
  k: usize,
  v: usize,
  decay: usize,
  o: usize,
  x_stride: usize,
  beta: usize,
  beta_stride: usize,
  tokens: i32,
  k_length: i32,
  v_length: i32,
  state: usize,
): void {
  const row = <usize>v_length * 4;
  const end = <usize>k_length * 4;
  for (let token = 0; token < tokens; token++) {
    const learned = f32x4.splat(load<f32>(beta));
    let column: usize = 0;
    for (; column + 64 <= row; column += 64) {
      wide_step(q, k, v + column, decay, learned, o + column, end, state + column, row);
    }
    for (; column < row; column += 16)
      step(q, k, v + column, decay, learned, o + column, end, state + column, row);
    q += x_stride;
    k += x_stride;
    v += x_stride;
    decay += x_stride;
    o += x_stride;
    beta += beta_stride;
  }
}

/** One token, 4 columns of the state. */
// biome-ignore format: one line
function step(q: usize, k: usize, v: usize, decay: usize, learned: v128, o: usize, end: usize, state: usize, row: usize): void {
  let known = f32x4.splat(0);
  for (let i: usize = 0, s = state; i < end; i += 4, s += row) {
    const kept = f32x4.mul(v128.load32_splat(decay + i), v128.load(s));
    v128.store(s, kept);
    known = f32x4.add(known, f32x4.mul(kept, v128.load32_splat(k + i)));
  }
  const delta = f32x4.mul(learned, f32x4.sub(v128.load(v), known));
  let sum = f32x4.splat(0);
  for (let i: usize = 0, s = state; i < end; i += 4, s += row) {
    const next = f32x4.add(v128.load(s), f32x4.mul(delta, v128.load32_splat(k + i)));
    v128.store(s, next);
    sum = f32x4.add(sum, f32x4.mul(next, v128.load32_splat(q + i)));
  }
  v128.store(o, sum);
}

/** The same of 16 columns. */
// biome-ignore format: one line
function wide_step(q: usize, k: usize, v: usize, decay: usize, learned: v128, o: usize, end: usize, state: usize, row: usize): void {
  let known0 = f32x4.splat(0);
  let known1 = f32x4.splat(0);
  let known2 = f32x4.splat(0);
  let known3 = f32x4.splat(0);
  for (let i: usize = 0, s = state; i < end; i += 4, s += row) {
    const key = v128.load32_splat(k + i);
    const rate = v128.load32_splat(decay + i);
    const kept0 = f32x4.mul(rate, v128.load(s));
    const kept1 = f32x4.mul(rate, v128.load(s, 16));
    const kept2 = f32x4.mul(rate, v128.load(s, 32));
    const kept3 = f32x4.mul(rate, v128.load(s, 48));
    v128.store(s, kept0);
    v128.store(s, kept1, 16);
    v128.store(s, kept2, 32);
    v128.store(s, kept3, 48);
    known0 = f32x4.add(known0, f32x4.mul(kept0, key));
    known1 = f32x4.add(known1, f32x4.mul(kept1, key));
    known2 = f32x4.add(known2, f32x4.mul(kept2, key));
    known3 = f32x4.add(known3, f32x4.mul(kept3, key));
  }
  const delta0 = f32x4.mul(learned, f32x4.sub(v128.load(v), known0));
  const delta1 = f32x4.mul(learned, f32x4.sub(v128.load(v, 16), known1));
  const delta2 = f32x4.mul(learned, f32x4.sub(v128.load(v, 32), known2));
  const delta3 = f32x4.mul(learned, f32x4.sub(v128.load(v, 48), known3));
  let sum0 = f32x4.splat(0);
  let sum1 = f32x4.splat(0);
  let sum2 = f32x4.splat(0);
  let sum3 = f32x4.splat(0);
  for (let i: usize = 0, s = state; i < end; i += 4, s += row) {
    const key = v128.load32_splat(k + i);
    const query = v128.load32_splat(q + i);
    const next0 = f32x4.add(v128.load(s), f32x4.mul(delta0, key));
    const next1 = f32x4.add(v128.load(s, 16), f32x4.mul(delta1, key));
    const next2 = f32x4.add(v128.load(s, 32), f32x4.mul(delta2, key));
    const next3 = f32x4.add(v128.load(s, 48), f32x4.mul(delta3, key));
    v128.store(s, next0);
    v128.store(s, next1, 16);
    v128.store(s, next2, 32);
    v128.store(s, next3, 48);
    sum0 = f32x4.add(sum0, f32x4.mul(next0, query));
    sum1 = f32x4.add(sum1, f32x4.mul(next1, query));
    sum2 = f32x4.add(sum2, f32x4.mul(next2, query));
    sum3 = f32x4.add(sum3, f32x4.mul(next3, query));
  }
  v128.store(o, sum0);
  v128.store(o, sum1, 16);
  v128.store(o, sum2, 32);
  v128.store(o, sum3, 48);
}
