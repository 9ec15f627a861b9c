import { describe, expect, test } from "vitest";
import { bytes, call, constant, place } from "../support/kernels.js";
import { Random } from "../support/random.js";

// The operations of the forward pass, against the formula written out in f64.

const random = new Random(1);

const noise = (n: number) => random.floats(n);

function floats(address: number, n: number): Float32Array {
  return new Float32Array(bytes(address, n * 4).buffer);
}

function room(n: number): Float32Array {
  return new Float32Array(n).fill(Number.NaN);
}

const roundUp = (n: number, multiple: number) => Math.ceil(n / multiple) * multiple;

/** Largest |actual - expected|, over the largest |expected|. */
function error(actual: ArrayLike<number>, expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  const differences = expected.map((value, i) => Math.abs(actual[i]! - value));
  return Math.max(...differences) / Math.max(...expected.map(Math.abs));
}

/** y[tokens, rows] by the kernels, as rows of `rows`. */
function product(x: Float32Array, w: Float32Array, tokens: number, rows: number, k: number): number[] {
  const stride = roundUp(rows, 8);
  const [from, weights, xPanels, wPanels, y] = place(
    x,
    w,
    room(roundUp(tokens, 4) * k),
    room(stride * k),
    room(roundUp(tokens, 4) * stride),
  );
  call("pack_blocks4", from!, k * 4, tokens, k, xPanels!);
  call("pack_panels8", weights!, k * 4, rows, k, wPanels!);
  call("matmul_f32", xPanels!, wPanels!, y!, tokens, rows, k);
  const padded = floats(y!, tokens * stride);
  return Array.from({ length: tokens * rows }, (_, i) => padded[Math.floor(i / rows) * stride + (i % rows)]!);
}

describe("matmul_f32", () => {
  test.each([
    [1, 1, 1],
    [4, 8, 4],
    [3, 13, 7],
    [5, 8, 255],
    [261, 9, 258],
    [6, 31, 1031],
  ])("%i tokens, %i rows, k = %i", (tokens, rows, k) => {
    const [x, w] = [noise(tokens * k), noise(rows * k)];
    const expected = Array.from({ length: tokens * rows }, (_, at) => {
      const [token, row] = [Math.floor(at / rows), at % rows];
      let sum = 0;
      for (let i = 0; i < k; i++) sum += x[token * k + i]! * w[row * k + i]!;
      return sum;
    });
    expect(error(product(x, w, tokens, rows, k), expected)).toBeLessThan(2e-6);
  });

  test("an output's bits depend on nothing but its row and its token", () => {
    const [tokens, rows, k] = [262, 21, 301];
    const [x, w] = [noise(tokens * k), noise(rows * k)];
    const whole = product(x, w, tokens, rows, k);
    for (const [token, row] of [
      [0, 0],
      [261, 20],
      [130, 7],
      [257, 13],
    ] as const) {
      const alone = product(x.slice(token * k, (token + 1) * k), w.slice(row * k, (row + 1) * k), 1, 1, k);
      expect(alone).toEqual([whole[token * rows + row]]);
    }
  });
});

interface Shape {
  readonly tokens: number;
  readonly heads: number;
  readonly headsKv: number;
  readonly kLength: number;
  readonly vLength: number;
  readonly window: number;
  readonly scale?: number;
  readonly cap?: number;
  readonly slopes?: readonly number[];
  readonly prefix?: number;
  /** Of a head: a score that counts in the softmax, and no key has. */
  readonly sinks?: readonly number[];
  /** Windows begin at multiples of their length. */
  readonly chunked?: boolean;
}

/** o[tokens][heads × vLength] in f64. */
function attentionReference(q: Float32Array, k: Float32Array, v: Float32Array, shape: Shape): number[] {
  const { tokens, heads, headsKv, kLength, vLength, window, slopes } = shape;
  const { scale = 1 / Math.sqrt(kLength), cap, prefix = 0, sinks, chunked } = shape;
  const o: number[] = [];
  for (let i = 0; i < tokens; i++) {
    for (let head = 0; head < heads; head++) {
      const kv = Math.floor(head / (heads / headsKv));
      const begin = chunked ? i - (i % window) : i - window + 1;
      const first = window > 0 ? Math.max(0, begin) : 0;
      const scores = Array.from({ length: Math.max(i + 1, prefix) - first }, (_, j) => {
        let dot = 0;
        for (let d = 0; d < kLength; d++) {
          dot += q[(i * heads + head) * kLength + d]! * k[((first + j) * headsKv + kv) * kLength + d]!;
        }
        const score = cap === undefined ? dot * scale : cap * Math.tanh((dot * scale) / cap);
        return Math.exp(score - (slopes?.[head] ?? 0) * (i - first - j));
      });
      const sink = sinks === undefined ? 0 : Math.exp(sinks[head]!);
      const sum = scores.reduce((total, score) => total + score, sink);
      for (let d = 0; d < vLength; d++) {
        const at = (j: number) => v[((first + j) * headsKv + kv) * vLength + d]!;
        o.push(scores.reduce((total, score, j) => total + (score / sum) * at(j), 0));
      }
    }
  }
  return o;
}

describe("attention", () => {
  test.each<[string, Shape]>([
    ["one token", { tokens: 1, heads: 2, headsKv: 1, kLength: 8, vLength: 8, window: 0 }],
    ["shared keys and values", { tokens: 75, heads: 6, headsKv: 2, kLength: 16, vLength: 16, window: 0 }],
    [
      "lengths that no vector divides",
      { tokens: 41, heads: 2, headsKv: 2, kLength: 7, vLength: 11, window: 0 },
    ],
    ["a window", { tokens: 100, heads: 2, headsKv: 1, kLength: 8, vLength: 8, window: 13 }],
    ["a window of one", { tokens: 40, heads: 1, headsKv: 1, kLength: 8, vLength: 8, window: 1 }],
    [
      "a window wider than the chunk",
      { tokens: 66, heads: 1, headsKv: 1, kLength: 8, vLength: 8, window: 70 },
    ],
    ["a scale", { tokens: 40, heads: 2, headsKv: 1, kLength: 8, vLength: 8, window: 0, scale: 0.2 }],
    ["a cap", { tokens: 41, heads: 2, headsKv: 1, kLength: 8, vLength: 8, window: 5, cap: 3 }],
    ["a prefix", { tokens: 77, heads: 2, headsKv: 1, kLength: 8, vLength: 8, window: 0, prefix: 45 }],
    ["slopes", { tokens: 77, heads: 2, headsKv: 1, kLength: 8, vLength: 8, window: 0, slopes: [0.5, 0.03] }],
    [
      "slopes, a cap and a window",
      { tokens: 50, heads: 2, headsKv: 2, kLength: 8, vLength: 8, window: 9, cap: 2, slopes: [0.1, 0.9] },
    ],
    ["chunks", { tokens: 50, heads: 2, headsKv: 1, kLength: 8, vLength: 8, window: 16, chunked: true }],
    ["sinks", { tokens: 50, heads: 2, headsKv: 1, kLength: 8, vLength: 8, window: 9, sinks: [1.7, -0.4] }],
  ])("%s", (_, shape) => {
    const { tokens, heads, headsKv, kLength, vLength, window, cap = 0, slopes, sinks } = shape;
    const { scale = 1 / Math.sqrt(kLength) } = shape;
    const q = noise(tokens * heads * kLength).map((value) => value * 8); // sharp enough to tell keys apart
    const [k, v] = [noise(tokens * headsKv * kLength), noise(tokens * headsKv * vLength)];
    const scratch = room(call("attention_scratch", tokens, kLength, vLength) / 4);
    const bias = Float32Array.from(slopes ?? [0]);
    const out = room(tokens * heads * vLength);
    const own = Float32Array.from(sinks ?? [0]);
    const [qAt, kAt, vAt, oAt, at, slopesAt, sinksAt] = place(q, k, v, out, scratch, bias, own);
    const lengths = [tokens, heads, headsKv, kLength, vLength];
    const bend = [scale, cap, slopes === undefined ? 0 : slopesAt!];
    call(
      "attention",
      qAt!,
      kAt!,
      vAt!,
      oAt!,
      ...lengths,
      ...bend,
      sinks === undefined ? 0 : sinksAt!,
      window,
      Number(shape.chunked ?? false),
      shape.prefix ?? 0,
      at!,
      0,
      heads,
    );
    const o = floats(oAt!, tokens * heads * vLength);
    expect(error(o, attentionReference(q, k, v, shape))).toBeLessThan(2e-6);
  });
});

test.each([8, 13, 256])("rms_norm of %i", (n) => {
  const tokens = 3;
  const [x, weight] = [noise(tokens * n), noise(n)];
  const [from, by, to] = place(x, weight, room(tokens * n));
  call("rms_norm", from!, by!, to!, tokens, n, 1e-5);
  const expected = Array.from({ length: tokens * n }, (_, at) => {
    const row = x.subarray(Math.floor(at / n) * n, (Math.floor(at / n) + 1) * n);
    const mean = row.reduce((sum, value) => sum + value * value, 0) / n;
    return (x[at]! / Math.sqrt(mean + 1e-5)) * weight[at % n]!;
  });
  expect(error(floats(to!, tokens * n), expected)).toBeLessThan(3e-7);
});

test.each([
  ["neighbours", 2, 1],
  ["halves", 1, 3],
])("rope turns pairs of %s and leaves the rest", (_, step, distance) => {
  const [tokens, heads, headLength, pairs] = [4, 2, 8, 3];
  const x = noise(tokens * heads * headLength);
  const table = Float32Array.from({ length: tokens * pairs * 2 }, (_, i) => {
    const angle = Math.floor(i / 2) * 0.3;
    return i % 2 === 0 ? Math.cos(angle) : Math.sin(angle);
  });
  const [at, tableAt] = place(x, table);
  call("rope", at!, tableAt!, tokens, heads, headLength, pairs, step, distance);
  const turned = floats(at!, x.length);
  const expected = [...x];
  for (let token = 0; token < tokens; token++) {
    for (let head = 0; head < heads; head++) {
      for (let pair = 0; pair < pairs; pair++) {
        const a = (token * heads + head) * headLength + pair * step;
        const b = a + distance;
        const angle = (token * pairs + pair) * 0.3;
        expected[a] = x[a]! * Math.cos(angle) - x[b]! * Math.sin(angle);
        expected[b] = x[a]! * Math.sin(angle) + x[b]! * Math.cos(angle);
      }
    }
  }
  expect(error(turned, expected)).toBeLessThan(2e-7);
});

test.each([8, 13, 256])("layer_norm of %i, with bias and without", (n) => {
  const tokens = 3;
  const [x, weight, bias] = [noise(tokens * n).map((value) => value + 3), noise(n), noise(n)];
  const [from, by, plus, to] = place(x, weight, bias, room(tokens * n));
  const expected = (withBias: boolean) =>
    Array.from({ length: tokens }, (_, token) => {
      const row = [...x.subarray(token * n, (token + 1) * n)];
      const mean = row.reduce((sum, value) => sum + value, 0) / n;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n;
      const normed = row.map((value) => (value - mean) / Math.sqrt(variance + 1e-5));
      return normed.map((value, i) => value * weight[i]! + (withBias ? bias[i]! : 0));
    }).flat();
  call("layer_norm", from!, by!, plus!, to!, tokens, n, 1e-5, 1);
  expect(error(floats(to!, tokens * n), expected(true))).toBeLessThan(2e-6);
  call("layer_norm", from!, by!, 0, to!, tokens, n, 1e-5, 1);
  expect(error(floats(to!, tokens * n), expected(false))).toBeLessThan(2e-6);
});

/** By its series, which converges fast enough here. */
function erf(z: number): number {
  let term = z;
  let sum = z;
  for (let n = 1; n < 200; n++) {
    term *= (-z * z) / n;
    sum += term / (2 * n + 1);
  }
  return (sum * 2) / Math.sqrt(Math.PI);
}

describe("activations", () => {
  const x = Float32Array.from({ length: 4096 }, (_, i) => (i - 2048) / 400);
  const up = noise(x.length);
  const FORMS = {
    gelu_tanh: (v: number) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))),
    gelu_erf: (v: number) => 0.5 * v * (1 + erf(v / Math.SQRT2)),
    silu: (v: number) => v / (1 + Math.exp(-v)),
    relu_squared: (v: number) => Math.max(v, 0) ** 2,
  };
  test.each(Object.entries(FORMS))("%s, plain and gated", (name, exact) => {
    const [from, by, to] = place(x, up, room(x.length));
    const most = name === "relu_squared" ? 4e-6 : 8e-7;
    call(name, from!, to!, x.length);
    const worst = (found: Float32Array, expected: (i: number) => number) =>
      found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected(i))), 0);
    expect(worst(floats(to!, x.length), (i) => exact(x[i]!))).toBeLessThan(most);
    call(`${name}_mul`, from!, by!, to!, x.length);
    expect(worst(floats(to!, x.length), (i) => exact(x[i]!) * up[i]!)).toBeLessThan(most);
  });

  test("the clamped SwiGLU of gpt-oss", () => {
    const [gates, ups] = [x.map((v) => v * 3), noise(x.length).map((v) => v * 8)];
    const [gate, by, to] = place(gates, ups, room(x.length));
    call("clamped_swiglu_mul", gate!, by!, to!, x.length, 1.702, 7);
    const exact = [...gates].map((value, i) => {
      const g = Math.min(value, 7);
      return (g / (1 + Math.exp(-1.702 * g))) * (Math.min(7, Math.max(-7, ups[i]!)) + 1);
    });
    expect(error(floats(to!, x.length), exact)).toBeLessThan(3e-7);
  });

  test("xIELU, near 0 too", () => {
    const values = Float32Array.from({ length: 4096 }, (_, i) => (i - 2048) / (i % 2 === 0 ? 400 : 1e6));
    const [from, to] = place(values, room(values.length));
    call("xielu", from!, to!, values.length, 0.8, 1.3, 0.5, -1e-6);
    const found = floats(to!, values.length);
    for (const [i, v] of values.entries()) {
      const bent = v > 0 ? 0.8 * v * v : 1.3 * (Math.expm1(Math.min(v, Math.fround(-1e-6))) - v);
      const exact = bent + 0.5 * v;
      expect(Math.abs(found[i]! - exact)).toBeLessThan(4e-7 * (Math.abs(v) + v * v) + 1e-12);
    }
  });

  test("far out they are 0 and x", () => {
    const far = Float32Array.of(-1e4, 1e4, -30, 30, -1e30, 1e30, 0, 0);
    for (const name of ["gelu_tanh", "gelu_erf"]) {
      const [from, to] = place(far, room(8));
      call(name, from!, to!, 8);
      const found = [...floats(to!, 8)];
      for (const [i, value] of far.entries()) expect(found[i]! - Math.max(value, 0)).toBeCloseTo(0, 6);
    }
  });
});

test.each([1, 8, 13])("clamp, scale and softcap of %i", (n) => {
  const x = noise(n).map((value) => value * 40);
  const run = (name: string, value: number) => {
    const [at] = place(x);
    call(name, at!, n, value);
    return [...floats(at!, n)];
  };
  expect(run("clamp", 6)).toEqual([...x].map((value) => Math.min(6, Math.max(-6, value))));
  expect(run("scale", 0.75)).toEqual([...x.map((value) => value * 0.75)]);
  for (const [i, value] of run("softcap", 30).entries()) {
    expect(value).toBeCloseTo(30 * Math.tanh(x[i]! / 30), 4);
  }
});

describe("silu_mul", () => {
  function silu(gates: Float32Array): Float32Array {
    const [gate, up, y] = place(gates, new Float32Array(gates.length).fill(1), room(gates.length));
    call("silu_mul", gate!, up!, y!, gates.length);
    return floats(y!, gates.length);
  }

  test("is within 4 ulp of x / (1 + e^-x) wherever e^-x is finite", () => {
    const gates = Float32Array.from({ length: 1 << 20 }, (_, i) => (i / (1 << 20)) * 190 - 88);
    const found = silu(gates);
    const worst = gates.reduce((most, x, i) => {
      const exact = x / (1 + Math.exp(-x));
      const ulp = 2 ** (Math.floor(Math.log2(Math.abs(exact) || 2 ** -126)) - 23);
      return Math.max(most, Math.abs(found[i]! - exact) / ulp);
    }, 0);
    expect(worst).toBeLessThan(4);
  });

  test("far out is 0 and x, and NaN where x is", () => {
    const gates = Float32Array.of(-1e4, 1e4, 3e38, Number.NaN, 0, 0, 0, 0);
    const found = [...silu(gates)];
    expect(found[0]).toBeCloseTo(0, 30);
    expect(found.slice(1)).toEqual([1e4, gates[2], Number.NaN, 0, 0, 0, 0]);
  });
});

describe("add_squares", () => {
  test.each([
    [1, 1],
    [3, 4],
    [5, 13],
    [64, 258],
  ])("%i tokens, %i columns: the sums in f64, to the bit", (tokens, columns) => {
    const x = noise(tokens * columns);
    const sums = Float64Array.from(noise(columns));
    const expected = sums.map((sum, i) => {
      for (let token = 0; token < tokens; token++) sum += x[token * columns + i]! ** 2;
      return sum;
    });
    const [from, at] = place(x, sums);
    call("add_squares", from!, tokens, columns, at!);
    expect(new Float64Array(bytes(at!, columns * 8).buffer)).toEqual(expected);
  });
});

describe("scores", () => {
  const size = constant("SCORE_SIZE")!;

  /** -ln p(target) of one token whose logits arrive in pieces of `piece`. */
  function nll(logits: Float32Array, target: number, piece: number): number {
    const [scores, targets, at] = place(new Uint8Array(size), Int32Array.of(target), logits);
    call("start_scores", scores!, 1);
    for (let first = 0; first < logits.length; first += piece) {
      const n = Math.min(piece, logits.length - first);
      call("add_scores", scores!, at! + first * 4, 0, targets!, 1, first, n);
    }
    const view = new DataView(bytes(scores!, size).buffer);
    return view.getFloat32(0, true) + Math.log(view.getFloat64(8, true)) - view.getFloat32(4, true);
  }

  test.each([1000, 64, 7, 1])("logits in pieces of %i", (piece) => {
    const logits = noise(1000).map((value) => value * 20);
    for (const target of [0, 500, 999]) {
      const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
      expect(Math.abs(nll(logits, target, piece) - (Math.log(sum) - logits[target]!))).toBeLessThan(2e-6);
    }
  });

  test("logits too large for exponentials", () => {
    const logits = Float32Array.of(1000, 999, -1e30);
    expect(nll(logits, 1, 2)).toBeCloseTo(1 + Math.log(1 + Math.exp(-1)), 6);
  });

  test("a logit that is no number shows", () => {
    expect(nll(Float32Array.of(1, Number.NaN, 2, 3, 4), 0, 5)).toBeNaN();
    expect(nll(Float32Array.of(1, 2, 3, 4, Number.NaN), 0, 2)).toBeNaN();
  });
});

describe("state spaces", () => {
  const [tokens, n, states] = [21, 12, 5];

  test("ssm_conv", () => {
    const kernel = 4;
    const [x, weight, bias] = [noise(tokens * n), noise(kernel * n), noise(n)];
    const expected = Array.from({ length: tokens * n }, (_, at) => {
      const [token, c] = [Math.floor(at / n), at % n];
      let sum = bias[c]!;
      for (let j = 0; j < kernel; j++) {
        const before = token - kernel + 1 + j;
        if (before >= 0) sum += weight[j * n + c]! * x[before * n + c]!;
      }
      return sum / (1 + Math.exp(-sum));
    });
    const [from, w, b, y] = place(x, weight, bias, room(tokens * n));
    call("ssm_conv", from!, n * 4, w!, n * 4, b!, y!, n * 4, tokens, n, kernel, 0);
    expect(error(floats(y!, tokens * n), expected)).toBeLessThan(1e-6);
  });

  test("softplus", () => {
    const x = Float32Array.from({ length: 101 }, (_, i) => i - 50);
    const [at] = place(x);
    call("softplus", at!, x.length);
    for (const [i, value] of floats(at!, x.length).entries()) {
      expect(Math.abs(value / Math.log1p(Math.exp(x[i]!)) - 1)).toBeLessThan(1e-6);
    }
  });

  test("ssm_scan, in place", () => {
    const [x, b, c, d] = [noise(tokens * n), noise(tokens * states), noise(tokens * states), noise(n)];
    const dt = noise(tokens * n).map(Math.abs);
    const a = noise(states * n).map((value) => -Math.abs(value));
    const state = new Float64Array(states * n);
    const expected = Array.from({ length: tokens * n }, (_, at) => {
      const [token, channel] = [Math.floor(at / n), at % n];
      let sum = d[channel]! * x[at]!;
      for (let s = 0; s < states; s++) {
        const place = s * n + channel;
        state[place] =
          state[place]! * Math.exp(dt[at]! * a[place]!) + dt[at]! * x[at]! * b[token * states + s]!;
        sum += state[place]! * c[token * states + s]!;
      }
      return sum;
    });
    const [xs, dts, as, bs, cs, ds, scratch] = place(x, dt, a, b, c, d, room(states * 8));
    call("ssm_scan", xs!, dts!, as!, n * 4, bs!, cs!, ds!, xs!, n * 4, tokens, n, states, 0, scratch!);
    expect(error(floats(xs!, tokens * n), expected)).toBeLessThan(1e-6);
  });
});
