import { expect, test } from "vitest";
import { Kernels } from "../../src/kernels/kernels.js";
import { Random } from "../support/random.js";

// Kimi delta attention's kernels against the recurrence written out in f64 (arXiv:2510.26692, equation 1).

const kernels = new Kernels();
const TOKENS = 19;

function place(values: ArrayLike<number>): number {
  const address = kernels.reserve(values.length * 4);
  kernels.floats(address, values.length).set(values);
  return address;
}

test("gates: channels forget, heads learn", () => {
  const [heads, width] = [3, 8];
  const random = new Random(3);
  const a = random.floats(TOKENS * heads * width).map((value) => value * 8);
  a[5] = 30; // where softplus(x) is x
  const [b, bias] = [random.floats(TOKENS * heads), random.floats(heads * width)];
  const rate = random.floats(heads).map((value) => -Math.abs(value));
  const [decay, beta] = [place(a), place(b)];
  kernels.call("kda_gates")(
    ...([decay, heads * width * 4, beta, heads * 4, place(bias), place(rate), TOKENS, heads, width] as const),
  );
  const [forgot, learned] = [kernels.floats(decay, a.length), kernels.floats(beta, b.length)];
  for (const [i, value] of a.entries()) {
    const step = Math.log1p(Math.exp(value + bias[i % (heads * width)]!));
    expect(forgot[i]).toBeCloseTo(Math.exp(rate[Math.floor(i / width) % heads]! * step), 6);
  }
  for (const [i, value] of b.entries()) expect(learned[i]).toBeCloseTo(1 / (1 + Math.exp(-value)), 6);
});

/** The columns of 80 are some that go together and some that do not. */
test.each([
  [4, 4],
  [16, 80],
  [64, 64],
])("the scan of %i keys and %i values, at once and in pieces", (keys, values) => {
  const row = Math.max(keys, values);
  const random = new Random(keys + values);
  const each = () => random.floats(TOKENS * row);
  const [q, k, v] = [each(), each(), each()];
  for (let i = 0; i < k.length; i++) k[i]! /= Math.sqrt(keys);
  const decay = each().map((value) => Math.exp(-Math.abs(value)));
  const beta = random.floats(TOKENS).map((value) => 1 / (1 + Math.exp(-value)));

  const state = new Float64Array(keys * values);
  const expected = Array.from({ length: TOKENS }, (_, token) => {
    const at = token * row;
    for (let i = 0; i < keys * values; i++) state[i]! *= decay[at + Math.floor(i / values)]!;
    const of = (x: Float32Array, column: number) =>
      Array.from({ length: keys }, (_, i) => state[i * values + column]! * x[at + i]!).reduce(
        (a, b) => a + b,
      );
    const delta = Array.from({ length: values }, (_, j) => beta[token]! * (v[at + j]! - of(k, j)));
    for (let i = 0; i < keys * values; i++) state[i]! += k[at + Math.floor(i / values)]! * delta[i % values]!;
    return Array.from({ length: values }, (_, j) => of(q, j));
  });

  const addresses = [q, k, v, decay].map(place);
  const said = [[TOKENS], [1, 7, 11]].map((pieces) => {
    const [o, kept] = [place(new Float32Array(TOKENS * row)), place(new Float32Array(keys * values))];
    let done = 0;
    for (const count of pieces) {
      const own = [...addresses, o].map((address) => address + done * row * 4);
      const gates = [place(beta) + done * 4, 4] as const;
      kernels.call("kda_scan")(...own, row * 4, ...gates, count, keys, values, kept);
      done += count;
    }
    return kernels.floats(o, TOKENS * row).slice();
  });
  expect(said[1]).toEqual(said[0]);
  const scale = Math.max(...expected.flat().map(Math.abs));
  for (const [token, outputs] of expected.entries()) {
    for (const [j, value] of outputs.entries()) {
      expect(Math.abs(said[0]![token * row + j]! - value)).toBeLessThan(2e-6 * scale);
    }
  }
});
