import { expect, test } from "vitest";
import { NO_PAIR, PairMap } from "../../../src/tokenizer/bpe/pair-map.js";
import { Random } from "../../support/random.js";

test("a pair map keeps the first number of each pair, however many come", () => {
  const random = new Random(5);
  const numbers = random.floats(60_000).map((value) => Math.floor(Math.abs(value) * 1e7) % 400);
  const [map, reference] = [new PairMap(10), new Map<string, number>()];
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    const [left, right] = [numbers[i]!, numbers[i + 1]!];
    map.add(left, right, i);
    const key = `${left},${right}`;
    if (!reference.has(key)) reference.set(key, i);
  }
  expect(reference.size).toBeGreaterThan(1000);
  for (let left = 0; left < 400; left++) {
    for (let right = 0; right < 400; right++) {
      const expected = reference.get(`${left},${right}`) ?? NO_PAIR;
      if (map.get(left, right) !== expected)
        expect([left, right, map.get(left, right)]).toEqual([left, right, expected]);
    }
  }
});
