import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { DTypeName } from "../../../formats/dtype.js";
import { Kernels } from "../../../src/kernels/kernels.js";
import { tryTypes } from "../../../src/run/measure/trial.js";
import { storedTensor } from "../../support/build/tensor.js";
import { scratchFolder } from "../../support/scratch.js";

// Σ v (w - ŵ)² / Σ v w², by hand: 2049 is half-way between two numbers of F16, whose mantissas have 11 bits, and becomes
// 2048; 257 is between two of BF16 (8 bits), and becomes 256. To even, both.

const kernels = new Kernels();
const folder = scratchFolder();
let files = 0;

/** What the types cost a tensor of that shape and F32 values. */
function tried(
  shape: readonly number[],
  values: ArrayLike<number>,
  dtypes: readonly DTypeName[],
  weights?: readonly Float32Array[],
): readonly number[] {
  const path = join(folder, `${files++}`);
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  writeFileSync(path, bytes);
  const fd = openSync(path, "r");
  try {
    const source = { file: 0, offset: 0, byteLength: bytes.length, dtype: "F32" as const, shape };
    const tensor = storedTensor(source);
    const trials = dtypes.map((dtype) => ({ dtype, guided: false }));
    return tryTypes({ tensor, files: [fd], trials, weights }, kernels);
  } finally {
    closeSync(fd);
  }
}

describe("what a type would cost", () => {
  test("is the error's squares by the weights' squares, of each type on its own", () => {
    const rows = [2049, 3, 257, 4];
    const squares = 2049 ** 2 + 3 ** 2 + 257 ** 2 + 4 ** 2;
    // 2049 = 256.125 * 8 becomes 256 * 8 in BF16, too
    expect(tried([2, 2], rows, ["F16", "BF16", "F32"])).toEqual([1 / squares, 2 / squares, 0]);
  });

  test("is weighted by the columns' importances", () => {
    const importances = [Float32Array.of(2, 5)];
    const all = 2 * 2049 ** 2 + 5 * 3 ** 2 + 2 * 4 ** 2 + 5 * 257 ** 2;
    expect(tried([2, 2], [2049, 3, 4, 257], ["F16", "BF16"], importances)).toEqual([2 / all, (2 + 5) / all]);
  });

  test("is weighted by the importances of the row's own matrix, of those that are stacked", () => {
    const importances = [Float32Array.of(2, 5), Float32Array.of(3, 7)];
    const all = 2 * 2049 ** 2 + 5 * 1 ** 2 + 3 * 1 ** 2 + 7 * 2049 ** 2;
    expect(tried([2, 1, 2], [2049, 1, 1, 2049], ["F16"], importances)).toEqual([(2 + 7) / all]);
  });

  test("is nothing where there is nothing, or nothing that counts", () => {
    expect(tried([2, 2], [0, 0, 0, 0], ["F16"])).toEqual([0]);
    expect(tried([2, 2], [2049, 0, 257, 0], ["F16"], [Float32Array.of(0, 1)])).toEqual([0]);
  });

  test("is found by 256 rows that lie evenly, from the middle of each stretch", () => {
    // of 512 rows those of odd numbers: floor((i + 1/2) * 2)
    const only = (odd: boolean) =>
      Array.from({ length: 512 }, (_, row) => ((row % 2 === 1) === odd ? 2049 : 1));
    expect(tried([512, 1], only(false), ["F16"])).toEqual([0]);
    expect(tried([512, 1], only(true), ["F16"])).toEqual([1 / 2049 ** 2]);
    // of 256 all, the last one too
    const last = Array.from({ length: 256 }, (_, row) => (row === 255 ? 2049 : 1));
    expect(tried([256, 1], last, ["F16"])).toEqual([1 / (255 + 2049 ** 2)]);
  });

  test.each([
    [64, 1],
    [65, 4],
    [256, 4],
  ])("of %s rows types that search long are tried on every %s.", (rows, step) => {
    // only rows that are passed over have anything in them
    const values = Array.from({ length: rows * 256 }, (_, i) =>
      Math.floor(i / 256) % 4 === 0 ? 0 : (i % 7) - 3,
    );
    const [slow, also, fast] = tried([rows, 256], values, ["IQ3_S", "IQ2_S", "IQ4_XS"]);
    for (const each of [slow!, also!]) {
      if (step === 1) expect(each).toBeGreaterThan(0);
      else expect(each).toBe(0);
    }
    expect(fast).toBeGreaterThan(0);
  });
});
