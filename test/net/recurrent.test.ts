import { describe, expect, test } from "vitest";
import { compileKernels, Kernels } from "../../src/kernels/kernels.js";
import { RecurrentState, recurrentBytes } from "../../src/net/mixers/state/recurrent-state.js";
import { Random } from "../support/random.js";

// Mamba's convolution and scan in pieces, with a state between them: to the bit what the whole gives, and the recurrence
// written out in f64.

const compiled = compileKernels();
const [TOKENS, CHANNELS, STATES, KERNEL] = [45, 24, 5, 4];
/** The scan's state, and what the convolution still sees. */
const shapeOf = (channels: number) => [STATES * channels, (KERNEL - 1) * channels];
const SHAPE = shapeOf(CHANNELS);

const random = new Random(5);
const INPUT = {
  x: random.floats(TOKENS * CHANNELS),
  dt: random.floats(TOKENS * CHANNELS).map(Math.abs),
  b: random.floats(TOKENS * STATES),
  c: random.floats(TOKENS * STATES),
};
const WEIGHTS = {
  conv: random.floats(KERNEL * CHANNELS),
  bias: random.floats(CHANNELS),
  a: random.floats(STATES * CHANNELS).map((value) => -Math.abs(value)),
  d: random.floats(CHANNELS),
};

function place(kernels: Kernels, values: Float32Array): number {
  const address = kernels.reserve(values.byteLength);
  kernels.floats(address, values.length).set(values);
  return address;
}

/** The channels from `first` on that a thread has, with their state. */
class Part {
  readonly kernels = new Kernels(compiled);
  readonly first: number;
  readonly channels: number;
  readonly state: RecurrentState;
  readonly #weights: Readonly<Record<keyof typeof WEIGHTS, number>>;
  /** y [tokens][channels] so far. */
  readonly outputs: number[] = [];

  constructor(first = 0, channels = CHANNELS) {
    [this.first, this.channels] = [first, channels];
    const { kernels } = this;
    kernels.bytes(kernels.reserve(4096), 4096).fill(0xff);
    kernels.reset();
    this.state = new RecurrentState(kernels, shapeOf(channels));
    const at = (values: Float32Array) => place(kernels, values) + first * 4;
    const { conv, bias, a, d } = WEIGHTS;
    this.#weights = { conv: at(conv), bias: at(bias), a: at(a), d: at(d) };
  }

  /** The next `count` tokens, their rows being those of all channels; without a state when there is none to be. */
  step(count: number, [scan, ends] = this.state.parts): this {
    const { kernels, channels } = this;
    const mark = kernels.mark();
    const from = this.state.length;
    const rows = (values: Float32Array, width: number) =>
      place(kernels, values.subarray(from * width, (from + count) * width));
    const row = CHANNELS * 4;
    const { conv, bias, a, d } = this.#weights;
    const x = rows(INPUT.x, CHANNELS) + this.first * 4;
    const y = place(kernels, new Float32Array(count * CHANNELS).fill(Number.NaN)) + this.first * 4;
    kernels.call("ssm_conv")(x, row, conv, row, bias, y, row, count, channels, KERNEL, ends!);
    const dt = rows(INPUT.dt, CHANNELS) + this.first * 4;
    const [b, c] = [rows(INPUT.b, STATES), rows(INPUT.c, STATES)];
    const scratch = kernels.reserve(STATES * 32);
    const lengths = [row, count, channels, STATES] as const;
    kernels.call("ssm_scan")(y, dt, a, row, b, c, d, y, ...lengths, scan!, scratch);
    this.state.advance(count);
    for (let i = 0; i < count; i++) this.outputs.push(...kernels.floats(y + i * row, channels));
    kernels.reset(mark);
    return this;
  }

  steps(...pieces: readonly number[]): number[] {
    const { state } = this;
    for (let i = 0; state.length < TOKENS; i++) {
      this.step(Math.min(pieces[i % pieces.length]!, TOKENS - state.length));
    }
    return this.outputs;
  }
}

function reference(): number[] {
  const state = new Float64Array(STATES * CHANNELS);
  return Array.from({ length: TOKENS * CHANNELS }, (_, at) => {
    const [token, channel] = [Math.floor(at / CHANNELS), at % CHANNELS];
    let input = WEIGHTS.bias[channel]!;
    for (let j = 0; j < KERNEL; j++) {
      const before = (token - KERNEL + 1 + j) * CHANNELS + channel;
      if (before >= 0) input += WEIGHTS.conv[j * CHANNELS + channel]! * INPUT.x[before]!;
    }
    input /= 1 + Math.exp(-input);
    const dt = INPUT.dt[at]!;
    let y = WEIGHTS.d[channel]! * input;
    for (let s = 0; s < STATES; s++) {
      const own = s * CHANNELS + channel;
      state[own] = state[own]! * Math.exp(dt * WEIGHTS.a[own]!) + dt * input * INPUT.b[token * STATES + s]!;
      y += state[own]! * INPUT.c[token * STATES + s]!;
    }
    return y;
  });
}

const whole = new Part().step(TOKENS, [0, 0]).outputs;

test("the whole, without a state, is the formula", () => {
  const expected = reference();
  const worst = expected.map((value, i) => Math.abs(whole[i]! - value)).reduce((a, b) => Math.max(a, b));
  expect(worst / expected.reduce((a, b) => Math.max(a, Math.abs(b)))).toBeLessThan(2e-6);
});

test.each([[[1]], [[2]], [[3]], [[7]], [[TOKENS]], [[1, 9, 2]]])(
  "pieces of %j have the same bits",
  (pieces) => {
    expect(new Part().steps(...pieces)).toEqual(whole);
  },
);

test("some of the channels are those of all", () => {
  const [first, channels] = [8, 12];
  const expected = whole.filter((_, at) => {
    const channel = (at % CHANNELS) - first;
    return channel >= 0 && channel < channels;
  });
  expect(new Part(first, channels).steps(2, 5)).toEqual(expected);
});

test("takes exactly the bytes that it says", () => {
  expect(recurrentBytes(SHAPE)).toBe(CHANNELS * (STATES + KERNEL - 1) * 4);
  const kernels = new Kernels(compiled);
  const start = kernels.reserve(0);
  new RecurrentState(kernels, SHAPE);
  expect(kernels.mark() - start).toBe(recurrentBytes(SHAPE));
});

describe("a state", () => {
  test("is the same behind the whole and behind pieces", () => {
    const [one, many] = [new Part(), new Part()];
    one.step(TOKENS);
    many.steps(2, 1);
    const bytes = ({ kernels, state }: Part) => [...kernels.bytes(state.parts[0]!, recurrentBytes(SHAPE))];
    expect(bytes(many)).toEqual(bytes(one));
  });

  test("forgets all tokens or none", () => {
    const part = new Part().step(10);
    expect([9, 11].map((length) => part.state.truncate(length))).toEqual([false, false]);
    expect(part.state.truncate(10)).toBe(true);
    expect(part.steps(7)).toEqual(whole);
    expect(part.state.truncate(0)).toBe(true);
    expect(part.state.length).toBe(0);
    part.outputs.length = 0;
    expect(part.steps(4)).toEqual(whole);
  });

  test("that is a copy goes its own way", () => {
    const part = new Part().step(10);
    const copy = part.state.fork();
    part.step(9);
    part.state.copyFrom(copy);
    expect(part.state.length).toBe(10);
    part.outputs.length = 10 * CHANNELS;
    expect(part.steps(6)).toEqual(whole);
  });
});
