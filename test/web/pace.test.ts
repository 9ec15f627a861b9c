import { expect, it } from "vitest";
import { nextPace, secondsLeft, shareDone, startPace } from "../../web/src/state/pace.js";

const TOTAL = 1000;

/** After each of these amounts, half a second apart. */
function after(amounts: readonly number[], total = TOTAL) {
  return amounts.reduce(
    (pace, done, i) => nextPace(pace, { stage: "quantize", done, total }, i * 500),
    startPace("quantize"),
  );
}

it("says nothing of the end before it has seen enough", () => {
  expect(secondsLeft(startPace("fetch"))).toBeUndefined();
  expect(secondsLeft(after([0, 10, 20]))).toBeUndefined();
});

it("reckons the end from the speed", () => {
  const pace = after([0, 50, 100, 150, 200]); // 100 a second
  expect(secondsLeft(pace)).toBeCloseTo(8);
  expect(shareDone(pace)).toBe(0.2);
});

it("forgets what was long ago, so that it follows a change of speed", () => {
  const fast = Array.from({ length: 41 }, (_, i) => i * 10); // 20 a second for 20 s
  const slow = Array.from({ length: 80 }, (_, i) => 400 + (i + 1)); // then 2 a second for 40 s
  expect(secondsLeft(after([...fast, ...slow]))).toBeCloseTo((1000 - 480) / 2, -1);
});

it("says nothing while nothing moves, or nobody knows how much there is", () => {
  expect(secondsLeft(after([100, 100, 100, 100, 100, 100]))).toBeUndefined();
  const unknown = after([0, 1, 2, 3, 4, 5], 0);
  expect(secondsLeft(unknown)).toBeUndefined();
  expect(shareDone(unknown)).toBeUndefined();
});

it("begins anew with a new stage", () => {
  const next = nextPace(after([0, 200, 400, 600, 800]), { stage: "hash", done: 0, total: 5 }, 3000);
  expect(next.samples).toEqual([[3000, 0]]);
  expect(secondsLeft(next)).toBeUndefined();
});
