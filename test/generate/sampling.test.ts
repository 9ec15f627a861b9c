import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { logprobs } from "../../src/generate/sampling/distribution.js";
import { Sampler, type SamplerOptions } from "../../src/generate/sampling/sampler.js";
import { inOrder, largest } from "../../src/generate/sampling/top.js";
import { Pcg32 } from "../../src/pcg32.js";
import { refusal } from "../support/build/build.js";
import { Random } from "../support/random.js";

/** Logits of these probabilities. */
const logitsOf = (...probabilities: number[]) => Float32Array.from(probabilities, Math.log);
const left = (options: SamplerOptions, logits: Float32Array, past: number[] = []) =>
  [...new Sampler({ temperature: 1, ...options }).candidates(logits, past).ids()].sort((a, b) => a - b);

describe("PCG32", () => {
  it("gives the numbers of its author's demonstration", () => {
    const random = new Pcg32(42n, 54n);
    const numbers = Array.from({ length: 6 }, () => random.next());
    expect(numbers).toEqual([0xa15c02b7, 0x7b47f409, 0xba1d3330, 0x83d2f293, 0xbfa4784b, 0xcbed606e]);
  });
  it("fills [0, 1) evenly", () => {
    const random = new Pcg32(1n, 2n);
    const numbers = Array.from({ length: 20_000 }, () => random.fraction());
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThan(1);
    expect(numbers.reduce((a, b) => a + b) / 20_000).toBeCloseTo(0.5, 2);
  });
});

describe("steps", () => {
  const logits = logitsOf(0.1, 0.4, 0.2, 0.2, 0.1);
  it("greedy takes the likeliest, of equals the lowest id", () => {
    expect(new Sampler().sample(Float32Array.of(1, 3, 3, 2), [])).toBe(1);
    expect(new Sampler({ topK: 1, seed: 3 }).sample(Float32Array.of(-1, -1), [])).toBe(0);
  });
  it("top-k leaves k, of equals the lowest ids", () => {
    expect(left({ topK: 2 }, logits)).toEqual([1, 2]);
    expect(left({ topK: 4 }, logits)).toEqual([0, 1, 2, 3]);
    expect(left({ topK: 9 }, logits)).toEqual([0, 1, 2, 3, 4]);
  });
  it("top-p leaves the fewest that reach it", () => {
    expect(left({ topP: 0.39 }, logits)).toEqual([1]);
    expect(left({ topP: 0.5 }, logits)).toEqual([1, 2]);
    expect(left({ topP: 0.7 }, logits)).toEqual([1, 2, 3]);
    expect(left({ topP: 1e-9 }, logits)).toEqual([1]);
  });
  it("top-p looks far down where it has to", () => {
    const flat = Float32Array.from({ length: 50_000 }, (_, id) => (id === 7 ? 9 : 0)); // 8103 against 49999
    expect(left({ topP: 0.1 }, flat)).toEqual([7]);
    expect(left({ topP: 0.5 }, flat)).toHaveLength(20_949); // (0.5 * (e^9 + 49999) - e^9) + 1, up
  });
  it("min-p leaves those of a share of the likeliest", () => {
    expect(left({ minP: 0.49 }, logits)).toEqual([1, 2, 3]);
    expect(left({ minP: 1 }, logits)).toEqual([1]);
  });
  it("penalties divide what came lately, and multiply what is below zero", () => {
    const four = Float32Array.of(4, 3.9, -1, -1.5);
    const scores = (options: SamplerOptions, past: number[]) => {
      const p = new Sampler({ temperature: 1, ...options }).candidates(four, past).probabilities();
      return [...p].map((each) => Math.log(each / p[3]!) - 1.5);
    };
    const near = (values: number[]) => values.map((value) => expect.closeTo(value, 6));
    expect(scores({ repeatPenalty: 2 }, [0, 2, 2])).toEqual(near([2, Math.fround(3.9), -2, -1.5]));
    expect(scores({ repeatPenalty: 2, repeatLastN: 1 }, [0, 2])).toEqual(
      near([4, Math.fround(3.9), -2, -1.5]),
    );
    expect(new Sampler({ repeatPenalty: 1.1 }).sample(four, [0])).toBe(1);
    expect(new Sampler({ repeatPenalty: 1.1, repeatLastN: 0 }).sample(four, [0])).toBe(0);
  });
  it("come in llama.cpp's order: temperature changes no nucleus", () => {
    expect(left({ topP: 0.5, temperature: 100 }, logits)).toEqual([1, 2]);
    const before = ["temperature", "top_p"] as const;
    expect(left({ topP: 0.5, temperature: 100, order: before }, logits)).toEqual([1, 2, 3]);
    expect(left({ topK: 3, topP: 0.7 }, logits)).toEqual([1, 2]); // of 0.8, not of 1
  });
});

describe("draws", () => {
  const logits = logitsOf(0.05, 0.5, 0.25, 0.2);
  const draw = (options: SamplerOptions, count: number, stream = 0) => {
    const sampler = new Sampler({ temperature: 1, seed: 7, ...options }, stream);
    return Array.from({ length: count }, () => sampler.sample(logits, []));
  };
  it("follow the probabilities", () => {
    const counts = [0, 0, 0, 0];
    for (const id of draw({}, 20_000)) counts[id]!++;
    const expected = [1000, 10_000, 5000, 4000];
    const chi = counts.reduce((sum, n, id) => sum + (n - expected[id]!) ** 2 / expected[id]!, 0);
    expect(chi).toBeLessThan(16.3); // of three degrees of freedom, one time in a thousand
  });
  it("are those of the seed and the stream", () => {
    expect(draw({}, 50)).toEqual(draw({ seed: 7n }, 50));
    expect(draw({}, 50)).not.toEqual(draw({ seed: 8 }, 50));
    expect(draw({}, 50)).not.toEqual(draw({}, 50, 1));
  });
  it("never take what was left out", () => {
    expect(new Set(draw({ topK: 2 }, 500))).toEqual(new Set([1, 2]));
    const none = new Sampler({ temperature: 1, seed: 1 });
    const logits = Float32Array.of(-Infinity, 0, -Infinity);
    for (let i = 0; i < 100; i++) expect(none.sample(logits, [])).toBe(1);
  });
});

describe("log-probabilities", () => {
  it("are the model's, in order, the lowest id first among equals", () => {
    const { logprob, top } = logprobs(logitsOf(0.25, 0.125, 0.5, 0.125), 0, 3);
    expect(logprob).toBeCloseTo(Math.log(0.25), 6);
    expect(top.map(({ token }) => token)).toEqual([2, 0, 1]);
    expect(top[2]!.logprob).toBeCloseTo(Math.log(0.125), 6);
    expect(logprobs(Float32Array.of(1000, 1000), 1, 5)).toEqual({
      logprob: -Math.LN2,
      top: [0, 1].map((token) => ({ token, logprob: -Math.LN2 })),
    });
  });
  it("the k largest are those of a sort", () => {
    const random = new Random(5);
    for (let round = 0; round < 200; round++) {
      const values = Float32Array.from({ length: 1 + random.below(60) }, () => random.below(12));
      const k = 1 + random.below(values.length);
      const sorted = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b).slice(0, k);
      expect([...inOrder(largest(values, values.length, k), values)]).toEqual(sorted);
    }
  });
});

describe("refused", () => {
  it.each<[SamplerOptions, string]>([
    [{ temperature: -1 }, "temperature is -1, and must be at least 0"],
    [{ temperature: Number.NaN }, "temperature is NaN, and must be at least 0"],
    [{ topK: 1.5 }, "topK is 1.5, and must be a whole number of at least 0"],
    [{ topP: 0 }, "topP is 0, and must be above 0 and up to 1"],
    [{ minP: 2 }, "minP is 2, and must be 0 to 1"],
    [{ repeatPenalty: 0 }, "repeatPenalty is 0, and must be above 0"],
    [{ seed: -1n }, "seed has more than 64 bits, or a sign"],
  ])("%o", (options, message) => {
    expect(refusal(() => new Sampler(options))).toBe(`usage: ${message}`);
  });
  it.each([[[1, Number.NaN]], [[-Infinity, -Infinity]], [[Infinity, 0]]])("logits %j", (logits) => {
    const refused = "bad-input: the model gives no numbers";
    expect(refusal(() => new Sampler().sample(Float32Array.from(logits), []))).toBe(refused);
    expect(refusal(() => logprobs(Float32Array.from(logits), 0, 0))).toBe(refused);
  });
});

describe("transformers' samplers", () => {
  type Case = SamplerOptions & {
    readonly repetitionPenalty?: number;
    readonly previous: number[];
    readonly logits: number[];
    readonly probabilities: readonly (readonly [id: number, probability: number])[];
  };
  const path = new URL("../golden/generate/samplers.json", import.meta.url);
  const { cases }: { cases: Case[] } = JSON.parse(readFileSync(path, "utf8"));
  const order = ["penalties", "temperature", "top_k", "top_p", "min_p"] as const;
  it.each(cases)("$temperature $topK $topP $minP $repetitionPenalty", (options) => {
    const { repetitionPenalty: repeatPenalty, previous, logits, probabilities, ...steps } = options;
    const sampler = new Sampler({ temperature: 1, repeatPenalty, order, ...steps });
    const candidates = sampler.candidates(Float32Array.from(logits), previous);
    const ours = candidates.probabilities();
    const pairs = Array.from(candidates.ids(), (id, i) => [id, ours[i]!] as const).sort(
      (a, b) => a[0] - b[0],
    );
    expect(pairs.map(([id]) => id)).toEqual(probabilities.map(([id]) => id));
    for (const [i, [, probability]] of pairs.entries())
      expect(probability).toBeCloseTo(probabilities[i]![1], 5);
  });
});
