// Gated delta nets (arXiv:2412.06464) over some tokens of a sequence, one value head at a time, in f32. What a sequence has
// behind it is a state, which is read first and left as the tokens leave it; so pieces of a sequence give what the whole
// does.

import { exp } from "./exp";

/**
 * What a head forgets and how much it learns: decay = e^(rate × softplus(a + bias)), beta = sigmoid(b).
 * @param a [tokens][n], and so b, decay and beta
 * @param bias [n]
 * @param rate [n], negative
 * @param decay may be a
 * @param beta may be b
 */
export function delta_gates(
  a: usize,
  b: usize,
  bias: usize,
  rate: usize,
  decay: usize,
  beta: usize,
  tokens: i32,
  n: i32,
): void {
  for (let token = 0; token < tokens; token++) {
    for (let head: usize = 0; head < <usize>n * 4; head += 4) {
      const x = load<f32>(a + head) + load<f32>(bias + head);
      const step = x > 20 ? x : Mathf.log1p(Mathf.exp(x));
      store<f32>(decay + head, exp(load<f32>(rate + head) * step));
      store<f32>(beta + head, 1 / (1 + exp(-load<f32>(b + head))));
    }
    a += <usize>n * 4;
    b += <usize>n * 4;
    decay += <usize>n * 4;
    beta += <usize>n * 4;
  }
}

/** Columns of a state that go through all tokens together. */
const COLUMNS: usize = 64;

/**
 * The state S [k_length][v_length], before the first token of a sequence 0, of one value head:
 *   S = decay S,   S += k (beta (v - Sᵀk))ᵀ,   o = Sᵀq
 * @param q k_length floats of each token, x_stride bytes apart, and so k; of unit length, q scaled
 * @param v v_length floats of each token, x_stride bytes apart; v_length a multiple of 4
 * @param decay of each token, gate_stride bytes apart, and so beta
 * @param o v_length floats of each token, o_stride bytes apart; not v
 */
export function delta_scan(
  q: usize,
  k: usize,
  v: usize,
  x_stride: usize,
  decay: usize,
  beta: usize,
  gate_stride: usize,
  o: usize,
  o_stride: usize,
  tokens: i32,
  k_length: i32,
  v_length: i32,
  state: usize,
): void {
  const row = <usize>v_length * 4;
  for (let column: usize = 0; column < row; ) {
    const wide = column + COLUMNS <= row;
    const s = state + column;
    for (let token: usize = 0; token < <usize>tokens; token++) {
      const at = token * x_stride;
      const kept = f32x4.splat(load<f32>(decay + token * gate_stride));
      const learned = f32x4.splat(load<f32>(beta + token * gate_stride));
      const y = o + token * o_stride + column;
      if (wide) wide_step(q + at, k + at, v + at + column, kept, learned, y, k_length, s, row);
      else step(q + at, k + at, v + at + column, kept, learned, y, k_length, s, row);
    }
    column += wide ? COLUMNS : 16;
  }
}

/** One token, 4 columns of the state. */
// biome-ignore format: one line
function step(q: usize, k: usize, v: usize, kept: v128, learned: v128, o: usize, k_length: i32, state: usize, row: usize): void {
  const end = <usize>k_length * 4;
  let known = f32x4.splat(0);
  for (let i: usize = 0, s = state; i < end; i += 4, s += row) {
    known = f32x4.add(known, f32x4.mul(v128.load(s), v128.load32_splat(k + i)));
  }
  const delta = f32x4.mul(learned, f32x4.sub(v128.load(v), f32x4.mul(kept, known)));
  let sum = f32x4.splat(0);
  for (let i: usize = 0, s = state; i < end; i += 4, s += row) {
    const next = f32x4.add(f32x4.mul(kept, v128.load(s)), f32x4.mul(delta, v128.load32_splat(k + i)));
    v128.store(s, next);
    sum = f32x4.add(sum, f32x4.mul(next, v128.load32_splat(q + i)));
  }
  v128.store(o, sum);
}

/** The same of 16 columns. */
// biome-ignore format: one line
function wide_step(q: usize, k: usize, v: usize, kept: v128, learned: v128, o: usize, k_length: i32, state: usize, row: usize): void {
  const end = <usize>k_length * 4;
  let known0 = f32x4.splat(0);
  let known1 = f32x4.splat(0);
  let known2 = f32x4.splat(0);
  let known3 = f32x4.splat(0);
  for (let i: usize = 0, s = state; i < end; i += 4, s += row) {
    const key = v128.load32_splat(k + i);
    known0 = f32x4.add(known0, f32x4.mul(v128.load(s), key));
    known1 = f32x4.add(known1, f32x4.mul(v128.load(s, 16), key));
    known2 = f32x4.add(known2, f32x4.mul(v128.load(s, 32), key));
    known3 = f32x4.add(known3, f32x4.mul(v128.load(s, 48), key));
  }
  const delta0 = f32x4.mul(learned, f32x4.sub(v128.load(v), f32x4.mul(kept, known0)));
  const delta1 = f32x4.mul(learned, f32x4.sub(v128.load(v, 16), f32x4.mul(kept, known1)));
  const delta2 = f32x4.mul(learned, f32x4.sub(v128.load(v, 32), f32x4.mul(kept, known2)));
  const delta3 = f32x4.mul(learned, f32x4.sub(v128.load(v, 48), f32x4.mul(kept, known3)));
  let sum0 = f32x4.splat(0);
  let sum1 = f32x4.splat(0);
  let sum2 = f32x4.splat(0);
  let sum3 = f32x4.splat(0);
  for (let i: usize = 0, s = state; i < end; i += 4, s += row) {
    const key = v128.load32_splat(k + i);
    const query = v128.load32_splat(q + i);
    const next0 = f32x4.add(f32x4.mul(kept, v128.load(s)), f32x4.mul(delta0, key));
    const next1 = f32x4.add(f32x4.mul(kept, v128.load(s, 16)), f32x4.mul(delta1, key));
    const next2 = f32x4.add(f32x4.mul(kept, v128.load(s, 32)), f32x4.mul(delta2, key));
    const next3 = f32x4.add(f32x4.mul(kept, v128.load(s, 48)), f32x4.mul(delta3, key));
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
