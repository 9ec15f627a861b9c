import { describe, expect, test } from "vitest";
import { compileKernels, Kernels } from "../../src/kernels/kernels.js";
import { pairVectors, untriedProducts } from "../../src/kernels/products.js";
import { prepareTrials, WIDE_TRIAL } from "../../src/net/products/trials.js";
import { Random } from "../support/random.js";

// What modules of products have beside integer products (gemm.test.ts), against the kernels' own, which ops.test.ts
// holds to f64: bit for bit.

pairVectors();
const random = new Random(3);
const compiled = compileKernels();

function place(kernels: Kernels, values: Float32Array): number {
  const address = kernels.reserve(values.byteLength);
  kernels.floats(address, values.length).set(values);
  return address;
}

const roundUp = (n: number, multiple: number) => Math.ceil(n / multiple) * multiple;

const modules = untriedProducts("generation").map((untried) => ({ ...untried, wide: false }));

test("this engine has some", () => {
  expect(modules.length).toBeGreaterThan(0);
});

describe.each(modules)("$dot, $bits bits", (products) => {
  /** What `run` returns with the kernels alone and with the module. */
  function bothWays(run: (kernels: Kernels) => Float32Array): [Float32Array, Float32Array] {
    return [run(new Kernels(compiled, products)), run(new Kernels(compiled))];
  }

  test.each([
    [1, 1, 1],
    [3, 13, 7],
    [5, 8, 255],
    [261, 9, 258],
    [6, 31, 1031],
  ])("matmul_f32 of %i tokens, %i rows, k = %i", (tokens, rows, k) => {
    const [xs, ws] = [random.floats(tokens * k), random.floats(rows * k)];
    const [own, plain] = bothWays((kernels) => {
      const [x, w] = [place(kernels, xs), place(kernels, ws)];
      const size = roundUp(tokens, 4) * roundUp(rows, 8);
      const packedX = kernels.reserve(roundUp(tokens, 4) * k * 4);
      const packedW = kernels.reserve(roundUp(rows, 8) * k * 4);
      const y = kernels.reserve(size * 4);
      kernels.call("pack_blocks4")(x, k * 4, tokens, k, packedX);
      kernels.call("pack_panels8")(w, k * 4, rows, k, packedW);
      kernels.call("matmul_f32")(packedX, packedW, y, tokens, rows, k);
      return kernels.floats(y, size).slice();
    });
    expect(own).toEqual(plain);
  });

  test.each([
    { tokens: 1, kLength: 8, vLength: 8 },
    { tokens: 75, kLength: 16, vLength: 16 },
    { tokens: 41, kLength: 7, vLength: 11 },
    { tokens: 200, kLength: 64, vLength: 128, window: 33 },
    { tokens: 40, kLength: 8, vLength: 8, window: 1 },
    { tokens: 41, kLength: 8, vLength: 8, cap: 3 },
    { tokens: 77, kLength: 8, vLength: 24, prefix: 45 },
    { tokens: 50, kLength: 8, vLength: 8, window: 9, cap: 2, slopes: [0.1, 0.9, 0.3, 0.01] },
  ])("attention %o", ({ tokens, kLength, vLength, window = 0, cap = 0, prefix = 0, slopes }) => {
    const [heads, headsKv] = [4, 2];
    const inputs = [heads * kLength, headsKv * kLength, headsKv * vLength].map((n) =>
      random.floats(tokens * n * 3),
    );
    const [own, plain] = bothWays((kernels) => {
      const [q, k, v] = inputs.map((values) => place(kernels, values));
      const slopesAt = slopes === undefined ? 0 : place(kernels, Float32Array.from(slopes));
      const o = kernels.reserve(tokens * heads * vLength * 4);
      const scratch = kernels.reserve(kernels.call("attention_scratch")(tokens, kLength, vLength));
      const lengths = [tokens, heads, headsKv, kLength, vLength] as const;
      const bend = [0.3, cap, slopesAt, 0, window, 0, prefix] as const;
      kernels.call("attention")(q!, k!, v!, o, ...lengths, ...bend, scratch, 0, lengths[1]!);
      return kernels.floats(o, tokens * heads * vLength).slice();
    });
    expect(own).toEqual(plain);
  });

  test("what decides whether it is used", () => {
    const results = (kernels: Kernels) =>
      prepareTrials(kernels, "generation")
        .filter(({ name }) => name !== WIDE_TRIAL)
        .map(({ name, run, result }) => {
          run();
          return [name, Buffer.from(result()).toString("hex")];
        });
    expect(results(new Kernels(compiled, products))).toEqual(results(new Kernels(compiled)));
  });
});
