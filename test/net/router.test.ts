import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { RouterTraits } from "../../src/arch/traits.js";
import { chooseExperts } from "../../src/net/feed-forward/router.js";

// Against transformers' routers: test/golden/make/routers.py.

const golden = JSON.parse(readFileSync(new URL("../golden/routers.json", import.meta.url), "utf8"));
const bias = Float32Array.from(golden.bias as number[]);
const logits = (golden.logits as number[][]).map((each) => Float32Array.from(each));

const groups = (score: "twoLargest" | "largest") => ({ count: 4, used: 2, score });
const ROUTERS: [
  name: string,
  used: number,
  router: RouterTraits,
  biased: "selection" | "logits" | undefined,
][] = [
  ["softmax", 3, { gating: "softmax" }, undefined],
  ["softmax, normalized", 3, { gating: "softmax", normalize: true }, undefined],
  [
    "sigmoid, groups, normalized",
    3,
    { gating: "sigmoid", normalize: true, scale: 2.5, groups: groups("twoLargest") },
    "selection",
  ],
  ["sigmoid", 3, { gating: "sigmoid" }, "selection"],
  ["softmax of the chosen", 3, { gating: "softmaxOfChosen" }, "logits"],
  ["largest of a group", 3, { gating: "softmax", scale: 16, groups: groups("largest") }, undefined],
  ["sparsemixer", 2, { gating: "sparsemixer", jitter: 0.2 }, undefined],
];

test.each(ROUTERS)("%s", (name, used, router, biased) => {
  for (const [token, own] of logits.entries()) {
    const input = biased === "logits" ? own.map((logit, expert) => logit + bias[expert]!) : own;
    const found = chooseExperts(router, used, input, biased === "selection" ? bias : undefined);
    const expected = (golden[name] as [number, number][][])[token]!;
    const sorted = found.toSorted((a, b) => a.expert - b.expert);
    expect(sorted.map(({ expert }) => expert)).toEqual(expected.map(([expert]) => expert));
    for (const [i, [, weight]] of expected.entries()) {
      expect(Math.abs(sorted[i]!.weight / weight - 1)).toBeLessThan(3e-7);
    }
  }
});

test("the root of softplus, as it is written", () => {
  const own = Float32Array.of(-40, 0, 3, 40);
  const found = chooseExperts({ gating: "sqrtSoftplus" }, 4, own, undefined);
  const expected = [40, 3, 0, -40].map((x) => Math.sqrt(x > 30 ? x : Math.log1p(Math.exp(x))));
  for (const [i, { weight }] of found.entries()) expect(weight).toBeCloseTo(expected[i]!, 12);
});

test("weights that are all nearly nothing are made to add up to 1 all the same", () => {
  const router = { gating: "sigmoid", normalize: true } as const;
  const [a, b] = chooseExperts(router, 2, Float32Array.of(-20, -20, -30), undefined);
  expect([a!.expert, b!.expert]).toEqual([0, 1]);
  expect(a!.weight + b!.weight).toBeCloseTo(1, 12);
});
