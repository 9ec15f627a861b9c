// What a decoder does between its matrix products, in f32. x and y are [tokens][n] unless a stride is given;
// strides are in bytes.
import { sum_f64x2 } from "../numbers/lanes";

/** y = x / sqrt(mean(x²) + epsilon) × weight for each token; the mean is summed in f64. */
export function rms_norm(x: usize, weight: usize, y: usize, tokens: i32, n: i32, epsilon: f32): void {
  const bytes = <usize>n * 4;
  const whole = bytes & ~15;
  for (let token = 0; token < tokens; token++, x += bytes, y += bytes) {
    let sums = f64x2.splat(0);
    for (let i: usize = 0; i < whole; i += 16) {
      const v = v128.load(x + i);
      sums = f64x2.add(sums, sum_f64x2(f32x4.mul(v, v)));
    }
    let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
    for (let i = whole; i < bytes; i += 4) sum += <f64>(load<f32>(x + i) * load<f32>(x + i));
    const scale: f32 = 1 / sqrt(<f32>(sum / n) + epsilon);
    for (let i: usize = 0; i < whole; i += 16) {
      const normed = f32x4.mul(v128.load(x + i), f32x4.splat(scale));
      v128.store(y + i, f32x4.mul(normed, v128.load(weight + i)));
    }
    for (let i = whole; i < bytes; i += 4)
      store<f32>(y + i, load<f32>(x + i) * scale * load<f32>(weight + i));
  }
}

/**
 * y = (x - mean(x)) / sqrt(variance(x) + epsilon) × weight + bias for each token; the variance is that of all n,
 * sums are in f64.
 * @param bias 0 for none
 * @param weights how many weights and biases there are: tokens take them in turn
 */
export function layer_norm(
  x: usize,
  weight: usize,
  bias: usize,
  y: usize,
  tokens: i32,
  n: i32,
  epsilon: f32,
  weights: i32,
): void {
  const bytes = <usize>n * 4;
  const whole = bytes & ~15;
  for (let token = 0; token < tokens; token++, x += bytes, y += bytes) {
    const at = <usize>(token % weights) * bytes;
    const w = weight + at;
    const b = bias + at;
    let sums = f64x2.splat(0);
    for (let i: usize = 0; i < whole; i += 16) sums = f64x2.add(sums, sum_f64x2(v128.load(x + i)));
    let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
    for (let i = whole; i < bytes; i += 4) sum += <f64>load<f32>(x + i);
    const mean = <f32>(sum / n);
    sums = f64x2.splat(0);
    for (let i: usize = 0; i < whole; i += 16) {
      const d = f32x4.sub(v128.load(x + i), f32x4.splat(mean));
      sums = f64x2.add(sums, sum_f64x2(f32x4.mul(d, d)));
    }
    sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
    for (let i = whole; i < bytes; i += 4) {
      const d = load<f32>(x + i) - mean;
      sum += <f64>(d * d);
    }
    const scale: f32 = 1 / sqrt(<f32>(sum / n) + epsilon);
    for (let i: usize = 0; i < whole; i += 16) {
      const normed = f32x4.mul(f32x4.sub(v128.load(x + i), f32x4.splat(mean)), f32x4.splat(scale));
      const weighted = f32x4.mul(normed, v128.load(w + i));
      v128.store(y + i, bias === 0 ? weighted : f32x4.add(weighted, v128.load(b + i)));
    }
    for (let i = whole; i < bytes; i += 4) {
      const weighted = (load<f32>(x + i) - mean) * scale * load<f32>(w + i);
      store<f32>(y + i, bias === 0 ? weighted : weighted + load<f32>(b + i));
    }
  }
}

/**
 * Turns pairs of each head by the angle of the token's position, in place.
 * @param x [tokens][heads × head_length]
 * @param table [tokens][pairs] of cosine and sine
 * @param step floats from the first of a pair to the first of the next
 * @param distance floats between the two of a pair
 */
export function rope(
  x: usize,
  table: usize,
  tokens: i32,
  heads: i32,
  head_length: i32,
  pairs: i32,
  step: i32,
  distance: i32,
): void {
  const other = <usize>distance * 4;
  for (let token = 0; token < tokens; token++, table += <usize>pairs * 8) {
    for (let head = 0; head < heads; head++, x += <usize>head_length * 4) {
      for (let pair = 0; pair < pairs; pair++) {
        const cosine = load<f32>(table + ((<usize>pair) << 3));
        const sine = load<f32>(table + ((<usize>pair) << 3), 4);
        const at = x + <usize>(pair * step) * 4;
        const a = load<f32>(at);
        const b = load<f32>(at + other);
        store<f32>(at, a * cosine - b * sine);
        store<f32>(at + other, a * sine + b * cosine);
      }
    }
  }
}

/** Adds a bias of `n` floats to the first `n` of each token's row at `y`. */
export function add_bias(y: usize, stride: usize, bias: usize, tokens: i32, n: i32): void {
  for (let token = 0; token < tokens; token++, y += stride) add_row(bias, y, n);
}

/** Adds the first `n` floats of each token's row at `x` to those at `y`. */
export function add_columns(x: usize, x_stride: usize, y: usize, y_stride: usize, tokens: i32, n: i32): void {
  for (let token = 0; token < tokens; token++, x += x_stride, y += y_stride) add_row(x, y, n);
}

/** Copies the first `n` floats of each token's row at `x` to `y`. */
export function copy_columns(
  x: usize,
  x_stride: usize,
  y: usize,
  y_stride: usize,
  tokens: i32,
  n: i32,
): void {
  for (let token = 0; token < tokens; token++, x += x_stride, y += y_stride) memory.copy(y, x, <usize>n * 4);
}

function add_row(x: usize, y: usize, n: i32): void {
  const end = x + <usize>n * 4;
  for (; x + 16 <= end; x += 16, y += 16) v128.store(y, f32x4.add(v128.load(y), v128.load(x)));
  for (; x < end; x += 4, y += 4) store<f32>(y, load<f32>(y) + load<f32>(x));
}

/** x = min(max(x, -limit), limit) for `n` floats. */
export function clamp(x: usize, n: i32, limit: f32): void {
  for (const end = x + <usize>n * 4; x < end; x += 4) {
    store<f32>(x, min<f32>(max<f32>(load<f32>(x), -limit), limit));
  }
}

/** x × factor for `n` floats. */
export function scale(x: usize, n: i32, factor: f32): void {
  for (const end = x + <usize>n * 4; x < end; x += 4) store<f32>(x, load<f32>(x) * factor);
}

/** y += factor × x for `n` floats. */
export function add_scaled(x: usize, factor: f32, y: usize, n: i32): void {
  const end = x + <usize>n * 4;
  for (; x + 16 <= end; x += 16, y += 16) {
    v128.store(y, f32x4.add(v128.load(y), f32x4.mul(v128.load(x), f32x4.splat(factor))));
  }
  for (; x < end; x += 4, y += 4) store<f32>(y, load<f32>(y) + load<f32>(x) * factor);
}
