import { describe, expect, test } from "vitest";
import { calibrationMemory, checkMemory, expertsAtOnce } from "../../../src/eval/calibrate/memory.js";
import type { Step } from "../../../src/eval/calibrate/steps.js";

// By hand, in floats of four bytes.

test.each([
  [4, 4096, 4], // all, where there is room for 2^29 / (4096² · 4) = 8
  [8, 4096, 8],
  [64, 4096, 8],
  [64, 4097, 7],
  [64, 16_384, 1], // half of one, but one there must be
  [1, 8, 1],
])("of %d experts with %d columns %d at once", (experts, columns, count) => {
  expect(expertsAtOnce(experts, columns)).toBe(count);
});

describe("what a calibration takes", () => {
  const stage = (columns: number, given: object = {}) => ({
    ...{ columns, experts: 0, rowsOfToken: 1, alike: false, adds: false },
    ...given,
  });
  const steps = (...each: object[][]) => each.map((stages) => ({ stages })) as unknown as Step[];
  const streams = { groupTokens: 10, width: 4 };
  const THREAD = 96 << 20;
  const floats = (of: Step[], effort: "plain" | "full") => {
    const bytes = calibrationMemory(streams, of, effort as never, 1);
    return (bytes - THREAD) / 4 - 10 * 4; // besides the hidden states
  };

  // Rows of 10 tokens and moments c²; with two streams what is missing too, of the width where the matrix adds to it.
  const small = stage(4); // 40 + 16; 40 + 16 more
  const adding = stage(8, { adds: true }); // 80 + 64; 40 + 32 more
  const large = stage(16); // 160 + 256; 160 + 256 more
  const alike = stage(8, { experts: 4, rowsOfToken: 2, alike: true }); // 2 · 10 · 2 · 8 + 4 · 64, and 64 for all
  const unlike = stage(8, { experts: 4, rowsOfToken: 2 });

  test.each<[string, Step[], plain: number, full: number]>([
    ["nothing", steps(), 0, 0],
    ["one stage", steps([small]), 56, 112],
    ["two of a step, together or one after the other", steps([small, adding]), 56 + 144, 216],
    ["two steps, each in the place of the other's", steps([small, adding], [large]), 416 + 144, 832],
    ["experts that are alike", steps([alike]), 640, 640],
    ["experts that are not", steps([unlike]), 576, 576],
    ["the greater of both, and what others take", steps([small, unlike], [alike]), 640 + 56, 640 + 112],
  ])("%s", (_, of, plain, full) => {
    expect([floats(of, "plain"), floats(of, "full")]).toEqual([plain, full]);
  });

  test("threads work in 96 MiB each, and one there is", () => {
    const of = (threads: number) => calibrationMemory(streams, [], "plain", threads);
    expect([0, 1, 4].map(of)).toEqual([160 + THREAD, 160 + THREAD, 160 + 4 * THREAD]);
  });
});

test("what does not fit is refused, in whole mebibytes", () => {
  const MB = 2 ** 20;
  expect(() => checkMemory(3 * MB, 3 * MB)).not.toThrow();
  const said = (needed: number, limit: number) => {
    try {
      checkMemory(needed, limit);
      return undefined;
    } catch (error) {
      const { code, message, hint } = error as { code: string; message: string; hint: string };
      return [code, message, hint];
    }
  };
  expect(said(2 * MB + 1, 2 * MB)).toEqual([
    "no-space",
    "calibration needs 3M of memory; 2M are allowed",
    "--max-memory 3M, or fewer --threads",
  ]);
});
