import { expect, test } from "vitest";
import { importancesOf } from "../../../src/eval/calibrate/rounding.js";

const sums = Float64Array.of(4, 0, 8, 12);

test("importances are mean squares where many tokens say so, and all alike where none does", () => {
  const many = importancesOf(sums, 2, 1e9);
  for (const [i, square] of [2, 0, 4, 6].entries()) expect(many[i]).toBeCloseTo(square, 5);
  expect([...importancesOf(sums, 2, 0)]).toEqual([3, 3, 3, 3]);
  const some = importancesOf(sums, 2, 100);
  for (const [i, square] of [2, 0, 4, 6].entries()) {
    expect(some[i]! > Math.min(square, 3) && some[i]! < Math.max(square, 3)).toBe(true);
  }
});

test("no column is worth nothing, be it that no token touched it, or any", () => {
  expect(importancesOf(sums, 2, 1e15)[1]).toBeGreaterThan(0);
  const none = importancesOf(new Float64Array(3), 0, 0);
  expect(none.every((each) => each > 0 && each === none[0])).toBe(true);
});
