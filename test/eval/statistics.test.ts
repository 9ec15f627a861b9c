import { describe, expect, test } from "vitest";
import {
  describeVerdict,
  gateResult,
  isBroken,
  isSettled,
  judge,
  needsBase,
  type Verdict,
} from "../../src/eval/perplexity/gate.js";
import { boundary, LOOKS, looksAt, spreadOrder } from "../../src/eval/perplexity/sequential.js";
import {
  covarianceOfMeans,
  mean,
  percentile,
  rootMeanSquare,
  share,
  WeightedVariance,
  wilsonInterval,
  zOfT,
} from "../../src/eval/perplexity/statistics.js";

// Worked out by hand, or from tables.

describe("statistics", () => {
  test("mean and standard error", () => {
    // Of 2, 4, 9: mean 5; squares of the distances 9 + 1 + 16 = 26, of three 26/3, by the 2 that are free 13/3.
    const { value, error } = mean([2, 4, 9]);
    expect(value).toBe(5);
    expect(error).toBeCloseTo(Math.sqrt(13 / 3), 12);
    expect(mean([0.1, 0.1, 0.1]).error).toBeCloseTo(0, 8); // and no root of a rounding error below 0
  });

  test("covariance of means", () => {
    // 1, 2, 6 and 4, 1, 1: means 3 and 2; products of the distances (-2)(2) + (-1)(-1) + (3)(-1) = -6, of three -2, by 2 free -1.
    expect(covarianceOfMeans([1, 2, 6], [4, 1, 1])).toBeCloseTo(-1, 12);
  });

  test("root of the mean square", () => {
    // Squares of 1, 1, 7 are 1, 1, 49: mean 17, error sqrt((2·16² + 32²) / 3 / 2) = 16; d sqrt(x) = dx / (2 sqrt(x)).
    const { value, error } = rootMeanSquare(Float64Array.of(1, -1, 7));
    expect(value).toBeCloseTo(4.123106, 6);
    expect(error).toBeCloseTo(16 / 2 / 4.123106, 6);
    expect(rootMeanSquare(Float64Array.of(0, 0))).toEqual({ value: 0, error: 0 });
  });

  test("shares", () => {
    expect(share(1, 5)).toEqual({ value: 0.2, error: 0.2 }); // sqrt(0.2 · 0.8 / 4)
  });

  test("percentiles lie between neighbours", () => {
    const sorted = Float64Array.of(1, 2, 4, 10);
    expect([0, 1 / 3, 0.5, 0.9, 1].map((each) => percentile(sorted, each))).toEqual([
      1,
      2,
      3,
      expect.closeTo(8.2, 12), // 0.9 · 3 = 2.7: 0.7 of the way from 4 to 10
      10,
    ]);
  });

  test("Wilson's interval: of Newcombe's examples (Statistics in Medicine 17, 1998, table I, method 3)", () => {
    for (const [count, n, low, high] of [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ] as const) {
      const { value, ...interval } = wilsonInterval(count, n);
      expect(value).toBe(count / n);
      expect(interval).toEqual({ low: expect.closeTo(low, 4), high: expect.closeTo(high, 4) });
    }
    expect(wilsonInterval(20, 20).high).toBe(1);
  });

  test("t as z: quantiles of Student's table", () => {
    // Two-sided 5 %, 1.96 for a normal distribution; the approximation is within some hundredths.
    for (const [t, freedom] of [
      [2.571, 5],
      [2.228, 10],
      [2.042, 30],
    ] as const) {
      // biome-ignore format: pairs
      expect(Math.abs(zOfT(t, freedom) - 1.96)).toBeLessThan(0.02);
      expect(zOfT(-t, freedom)).toBe(-zOfT(t, freedom));
    }
    // With one degree of freedom t is Cauchy's: half of all is within 1, as it is of a normal distribution within 0.6745.
    expect(Math.abs(zOfT(1, 1) - 0.6745)).toBeLessThan(0.02);
    expect(zOfT(1, 0.999)).toBe(0);
    expect([zOfT(3, 0), zOfT(0, 4), zOfT(Number.NEGATIVE_INFINITY, 4)]).toEqual([0, 0, -Infinity]);
  });

  test("variance by weight", () => {
    // 1 three times and 5 once: mean 2, (3 · 1 + 9) / 4.
    const variance = new WeightedVariance();
    expect(variance.value()).toBe(0);
    variance.add(3, 1);
    expect(variance.value()).toBe(0);
    variance.add(1, 5);
    expect(variance.value()).toBe(3);
  });
});

describe("the gate", () => {
  const verdict = (outcome: Verdict["outcome"], isWithin: boolean): Verdict => ({
    ...{ bound: "max-kld", limit: 0.5, value: 0.25, error: 0.125, outcome, isWithin },
  });
  const met = verdict("met", true);
  const broken = verdict("broken", false);
  const [near, beyond] = [verdict("undecided", true), verdict("undecided", false)];

  // What docs say: a clear case counts; one that is not fails by its value, or is undecided with --strict.
  // biome-ignore format: columns
  test.each<[verdicts: Verdict[], usual: string, strict: string, settled: boolean]>([
    [[met],            "passed", "passed",    true],
    [[broken],         "failed", "failed",    true],
    [[near],           "passed", "undecided", false],
    [[beyond],         "failed", "undecided", false],
    [[met, near],      "passed", "undecided", false],
    [[near, broken],   "failed", "failed",    true],
    [[met, beyond],    "failed", "undecided", false],
    [[met, met],       "passed", "passed",    true],
  ])("%#", (verdicts, usual, strict, settled) => {
    expect([gateResult(verdicts, false), gateResult(verdicts, true)]).toEqual([usual, strict]);
    expect(isSettled(verdicts)).toBe(settled);
    expect(verdicts.some((each) => isBroken(each, false))).toBe(usual === "failed");
    expect(verdicts.some((each) => isBroken(each, true))).toBe(strict === "failed");
  });

  test("each bound by itself, with its error: by hand", () => {
    // Means of 1, 2, 3: 2 with an error of sqrt(1/3); of what is exponentiated the error is that of the exponent times the value.
    const error = Math.sqrt(1 / 3);
    const chunks = [1, 2, 3].map((nll) => ({
      ...{ chunk: 0, nll, base: { nll: 1, kld: nll / 4, sameTop: 1 - nll / 10 } },
    }));
    const bounds = { maxPpl: 100, maxPplRatio: 1.01, maxKld: 0.5, minTop1: 0.8 };
    const close = (value: number) => expect.closeTo(value, 10);
    expect(judge(bounds, chunks)).toMatchObject([
      {
        bound: "max-ppl",
        limit: 100,
        value: close(Math.E ** 2),
        error: close(Math.E ** 2 * error),
        isWithin: true,
      },
      {
        bound: "max-ppl-ratio",
        limit: 1.01,
        value: close(Math.E),
        error: close(Math.E * error),
        isWithin: false,
      },
      { bound: "max-kld", limit: 0.5, value: close(0.5), error: close(error / 4), isWithin: true }, // at the bound
      { bound: "min-top1", limit: 0.8, value: close(0.8), error: close(error / 10) },
    ]);
    expect(judge({}, chunks)).toEqual([]);
    for (const [name, value] of Object.entries(bounds))
      expect([name, needsBase({ [name]: value })]).toEqual([name, name !== "maxPpl"]);
  });

  test("a verdict in words", () => {
    expect([met, broken, near].map(describeVerdict)).toEqual([
      "max-kld met: 0.2500 ± 0.1250, 0.2500 within the bound of 0.5",
      "max-kld broken: 0.2500 ± 0.1250, 0.2500 beyond the bound of 0.5",
      "max-kld undecided, the error bar reaches the bound: 0.2500 ± 0.1250, 0.2500 within the bound of 0.5",
    ]);
  });
});

describe("judging", () => {
  const chunk = (nll: number, baseNll: number) => ({
    chunk: 0,
    nll,
    base: { nll: baseNll, kld: nll - baseNll, sameTop: 0.9 },
  });

  test("pairs the chunks: what both find hard does not count as doubt", () => {
    const chunks = [1, 9, 3, 7, 5, 2, 8, 4].map((nll, i) => chunk(nll + 0.1 + 0.001 * (i % 2), nll));
    const [ppl, ratio] = judge({ maxPpl: 150, maxPplRatio: 1.2 }, chunks);
    expect(ppl).toMatchObject({ bound: "max-ppl", outcome: "undecided", isWithin: true });
    expect(ratio).toMatchObject({ bound: "max-ppl-ratio", outcome: "met" });
    expect(ratio!.value).toBeCloseTo(Math.exp(0.1005), 10);
  });

  test("error bars are those of the mean of few chunks: by hand", () => {
    // Mean 2, variance ((-1)² + 0 + 1²) / (3 - 1) = 1, of the mean 1 / 3.
    const chunks = [1, 2, 3].map((kld) => ({ chunk: 0, nll: 1, base: { nll: 1, kld, sameTop: 0.9 } }));
    const error = Math.sqrt(1 / 3);
    const [verdict] = judge({ maxKld: 4 }, chunks);
    expect(verdict!.value).toBe(2);
    expect(verdict!.error).toBeCloseTo(error, 12);
    // Student's t with 2 degrees of freedom: 4.303 errors leave 5 % outside, 2.920 leave 10 %; with 3 it would be 3.182.
    const far = (errors: number, clear: number) =>
      judge({ maxKld: 2 + errors * error }, chunks, clear)[0]!.outcome;
    expect([far(3.2, 1.96), far(4.9, 1.96)]).toEqual(["undecided", "met"]);
    expect([far(2.7, 1.645), far(3.3, 1.645)]).toEqual(["undecided", "met"]);
  });

  test("chunks that all say the same leave no doubt; one chunk says nothing of its spread", () => {
    const same = [chunk(2, 1), chunk(2, 1)];
    expect(judge({ minTop1: 0.9, maxKld: 0.99 }, same)).toMatchObject([
      { bound: "max-kld", outcome: "broken" },
      { bound: "min-top1", outcome: "met" },
    ]);
    const one = judge({ maxKld: 0.1 }, [chunk(2, 1)]);
    expect(one).toMatchObject([{ outcome: "undecided", isWithin: false }]);
    expect(isSettled(one)).toBe(false);
    expect(gateResult(one, true)).toBe("undecided");
    expect(gateResult(one, false)).toBe("failed");
  });
});

describe("looking early", () => {
  test("takes chunks from all over the text, each once", () => {
    expect(spreadOrder(10)).toEqual([0, 4, 8, 2, 6, 1, 5, 9, 3, 7]);
    expect(looksAt(10)).toEqual([
      { look: 1, chunks: 3 },
      { look: 2, chunks: 5 },
      { look: 3, chunks: 8 },
      { look: 4, chunks: 10 },
    ]);
    expect(looksAt(3).map(({ chunks }) => chunks)).toEqual([2, 3]);
    expect(looksAt(1)).toEqual([]);
  });

  test("errs once in forty, as a single look would: by integration over the looks", () => {
    // Density of the sum of the increments, as far as no boundary was crossed; the sum's spread is sqrt(look).
    const step = 0.02;
    const half = 400;
    let density = new Float64Array(2 * half + 1);
    const normal = (x: number) => Math.exp(-(x * x) / 2) / Math.sqrt(2 * Math.PI);
    density = density.map((_, i) => normal((i - half) * step));
    let crossed = 0;
    for (let look = 1; look <= LOOKS; look++) {
      const limit = boundary(look) * Math.sqrt(look);
      if (look > 1) {
        const before = density;
        density = before.map((_, i) =>
          before.reduce((sum, value, j) => sum + value * normal((i - j) * step) * step, 0),
        );
      }
      // The upper tail only; trapezoids, as the boundary falls between two points.
      density.forEach((value, i) => {
        const over = Math.min(1, Math.max(0, ((i - half) * step - limit) / step + 0.5));
        crossed += over * value * step;
      });
      density = density.map(
        (value, i) => value * Math.min(1, Math.max(0, (limit - Math.abs(i - half) * step) / step + 0.5)),
      );
    }
    expect(crossed).toBeGreaterThan(0.0245);
    expect(crossed).toBeLessThan(0.0255);
  });
});
