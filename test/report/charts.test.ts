import { expect, test } from "vitest";
import type { ComparedModel } from "../../src/eval/compare/compare-models.js";
import { divergenceHistogram } from "../../src/eval/divergence/histogram.js";
import { divergenceHistogramChart, limitsOf } from "../../src/report/html/model-charts.js";

test("divergences are counted in quarters of decades from 1e-6 to 10 nats, those beyond in the outer ones", () => {
  // 10^(-6 + i / 4) by hand: 1e-6, 1.78e-6, 3.16e-6, 5.62e-6, 1e-5, ...; 1e-3 is the 13th edge.
  const values = [-1e-9, 0, 1.7e-6, 1.8e-6, 9e-6, 1.01e-3, 1.7e-3, 1.8e-3, 9.9, 50];
  const { edges, counts } = divergenceHistogram(Float64Array.from(values));
  expect(edges).toHaveLength(29);
  expect(edges[0]).toBeCloseTo(1e-6, 12);
  expect(edges[12]).toBeCloseTo(1e-3, 9);
  expect(edges[28]).toBeCloseTo(10, 9);
  const filled = counts.flatMap((count, i) => (count === 0 ? [] : [[i, count]]));
  expect(filled).toEqual([
    [0, 3],
    [1, 1],
    [3, 1],
    [12, 2],
    [13, 1],
    [27, 2],
  ]);
});

test("a bar is as high as its axis says", () => {
  const values = Float64Array.from({ length: 40 }, (_, i) => (i < 24 ? 2e-3 : i < 36 ? 2e-2 : 2e-1));
  const model = {
    parts: [],
    histogram: divergenceHistogram(values),
    divergence: { kld: { median: 2e-3, value: 0.027 } },
  } as unknown as ComparedModel;
  const chart = divergenceHistogramChart(model, "a", "m", limitsOf([model]));
  // Labels of y end left of the axis, 4 below the height they name.
  const labels = [...chart.matchAll(/<text x="[\d.]+" y="([\d.]+)" text-anchor="end">([\d.]+)<\/text>/g)];
  const ticks = labels.map(([, y, text]) => [Number(text), Number(y) - 4] as const);
  expect(ticks.length).toBeGreaterThan(2);
  const [zero, ...others] = ticks;
  expect(zero![0]).toBe(0);
  const [percent, at] = others.at(-1)!;
  const unit = (zero![1] - at) / percent;
  const heights = [...chart.matchAll(/<rect class="bar"[^>]* height="([\d.]+)">/g)].map(([, each]) =>
    Number(each),
  );
  expect(heights).toHaveLength(3);
  for (const [i, share] of [60, 30, 10].entries()) {
    expect(Math.abs(heights[i]! - share * unit)).toBeLessThan(0.2);
  }
});
