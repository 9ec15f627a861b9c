// Activations of feed-forwards in f32, plain and with a gate: y = act(x), y = act(gate) × up. n is a multiple of 8;
// y may be an input.
import { exp_f32x4 } from "./exp";

/** y = silu(x) */
export function silu(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 16, y += 16) v128.store(y, silu_f32x4(v128.load(x)));
}

/** y = silu(gate) × up */
export function silu_mul(gate: usize, up: usize, y: usize, n: i32): void {
  for (const end = gate + <usize>n * 4; gate < end; gate += 32, up += 32, y += 32) {
    const a = f32x4.mul(silu_f32x4(v128.load(gate)), v128.load(up));
    const b = f32x4.mul(silu_f32x4(v128.load(gate, 16)), v128.load(up, 16));
    v128.store(y, a);
    v128.store(y, b, 16);
  }
}

/** y = max(x, 0)² */
export function relu_squared(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 16, y += 16)
    v128.store(y, relu_squared_f32x4(v128.load(x)));
}

/** y = max(gate, 0)² × up */
export function relu_squared_mul(gate: usize, up: usize, y: usize, n: i32): void {
  for (const end = gate + <usize>n * 4; gate < end; gate += 16, up += 16, y += 16) {
    v128.store(y, f32x4.mul(relu_squared_f32x4(v128.load(gate)), v128.load(up)));
  }
}

/** y = gelu(x) in the tanh form, which transformers calls gelu_new or gelu_pytorch_tanh. */
export function gelu_tanh(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 16, y += 16) v128.store(y, gelu_tanh_f32x4(v128.load(x)));
}

/** y = gelu(gate) × up in the tanh form. */
export function gelu_tanh_mul(gate: usize, up: usize, y: usize, n: i32): void {
  for (const end = gate + <usize>n * 4; gate < end; gate += 16, up += 16, y += 16) {
    v128.store(y, f32x4.mul(gelu_tanh_f32x4(v128.load(gate)), v128.load(up)));
  }
}

/** y = gelu(x) in the exact form: x Φ(x). */
export function gelu_erf(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 16, y += 16) v128.store(y, gelu_erf_f32x4(v128.load(x)));
}

/** y = gelu(gate) × up in the exact form. */
export function gelu_erf_mul(gate: usize, up: usize, y: usize, n: i32): void {
  for (const end = gate + <usize>n * 4; gate < end; gate += 16, up += 16, y += 16) {
    v128.store(y, f32x4.mul(gelu_erf_f32x4(v128.load(gate)), v128.load(up)));
  }
}

/**
 * x × sigmoid(gate), in place: each of a token's `n` gates is for `width` floats of x, side by side. Strides, from one
 * token's row to the next, are in bytes.
 */
export function sigmoid_gate(
  gate: usize,
  gate_stride: usize,
  x: usize,
  x_stride: usize,
  tokens: i32,
  n: i32,
  width: i32,
): void {
  for (let token = 0; token < tokens; token++, gate += gate_stride, x += x_stride) {
    let i = 0;
    if (width === 1) {
      for (; i + 4 <= n; i += 4) {
        const at = x + ((<usize>i) << 2);
        v128.store(at, f32x4.mul(v128.load(at), sigmoid_f32x4(v128.load(gate + ((<usize>i) << 2)))));
      }
    }
    for (; i < n; i++) {
      const open = f32x4.extract_lane(sigmoid_f32x4(f32x4.splat(load<f32>(gate + ((<usize>i) << 2)))), 0);
      const end = x + <usize>((i + 1) * width) * 4;
      for (let at = x + <usize>(i * width) * 4; at < end; at += 4) store<f32>(at, load<f32>(at) * open);
    }
  }
}

/** x × softplus(gate), likewise: ln(1 + e^gate), which above 20 is the gate. */
export function softplus_gate(
  gate: usize,
  gate_stride: usize,
  x: usize,
  x_stride: usize,
  tokens: i32,
  n: i32,
  width: i32,
): void {
  for (let token = 0; token < tokens; token++, gate += gate_stride, x += x_stride) {
    for (let i = 0; i < n; i++) {
      const value = load<f32>(gate + ((<usize>i) << 2));
      const open = value <= 20 ? Mathf.log1p(Mathf.exp(value)) : value;
      const end = x + <usize>((i + 1) * width) * 4;
      for (let at = x + <usize>(i * width) * 4; at < end; at += 4) store<f32>(at, load<f32>(at) * open);
    }
  }
}

/** x = cap × tanh(x / cap) for `n` floats, any number of them. */
export function softcap(x: usize, n: i32, cap: f32): void {
  const end = x + <usize>n * 4;
  for (; x + 16 <= end; x += 16) v128.store(x, softcap_f32x4(v128.load(x), cap));
  for (; x < end; x += 4) store<f32>(x, f32x4.extract_lane(softcap_f32x4(f32x4.splat(load<f32>(x)), cap), 0));
}

function relu_squared_f32x4(x: v128): v128 {
  const positive = f32x4.max(x, f32x4.splat(0));
  return f32x4.mul(positive, positive);
}

/** 1 / (1 + e^-x) */
export function sigmoid_f32x4(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), exp_f32x4(f32x4.neg(x))));
}

/** x / (1 + e^-x) */
export function silu_f32x4(x: v128): v128 {
  return f32x4.div(x, f32x4.add(f32x4.splat(1), exp_f32x4(f32x4.neg(x))));
}

/** x (1 + tanh(u)) / 2 with u = √(2/π) (x + 0.044715 x³); that is x / (1 + e^-2u). */
function gelu_tanh_f32x4(x: v128): v128 {
  const cubic = f32x4.mul(f32x4.mul(f32x4.mul(x, x), x), f32x4.splat(0.044715));
  const minus_2u = f32x4.mul(f32x4.add(x, cubic), f32x4.splat(-1.5957691216057308));
  return f32x4.div(x, f32x4.add(f32x4.splat(1), exp_f32x4(minus_2u)));
}

/**
 * x (1 + erf(x / √2)) / 2 with erf by formula 7.1.26 of Abramowitz and Stegun, within 1.5e-7. For z >= 0 it gives
 * 1 - erf(z) = t (a1 + t (a2 + …)) e^-z² with t = 1 / (1 + pz).
 */
function gelu_erf_f32x4(x: v128): v128 {
  const z = f32x4.mul(f32x4.abs(x), f32x4.splat(Mathf.SQRT1_2));
  const t = f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), f32x4.mul(z, f32x4.splat(0.3275911))));
  let p = f32x4.splat(1.061405429);
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-1.453152027));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(1.421413741));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-0.284496736));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.254829592));
  const rest = f32x4.mul(f32x4.mul(p, t), exp_f32x4(f32x4.neg(f32x4.mul(z, z))));
  // Φ(x) is half of rest below 0, and 1 minus that above.
  const half = f32x4.mul(rest, f32x4.splat(0.5));
  const positive = f32x4.gt(x, f32x4.splat(0));
  return f32x4.mul(x, v128.bitselect(f32x4.sub(f32x4.splat(1), half), half, positive));
}

/** tanh(u) = 1 - 2 / (1 + e^2u) */
export function softcap_f32x4(x: v128, cap: f32): v128 {
  const e = exp_f32x4(f32x4.mul(x, f32x4.splat(2 / cap)));
  const tanh = f32x4.sub(f32x4.splat(1), f32x4.div(f32x4.splat(2), f32x4.add(f32x4.splat(1), e)));
  return f32x4.mul(tanh, f32x4.splat(cap));
}
