import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Kernels } from "../../../src/kernels/kernels.js";
import { compare } from "../../../src/run/measure/compare.js";
import type { Tensor } from "../../../src/tensor.js";
import { refusal } from "../../support/build/build.js";
import { storedTensor } from "../../support/build/tensor.js";
import { scratchFolder } from "../../support/scratch.js";

// Rows of two weights, as F32 and as F16, whose bits are written out: 2049 becomes 2048 (0x6800), the even of its neighbours.

const kernels = new Kernels();
const folder = scratchFolder();
const SOURCE = [2049, 3, 1, 2, -1, 0];
const FRESH = [0x6800, 0x4200, 0x3c00, 0x4000, 0xbc00, 0];
const SQUARES = 2049 ** 2 + 3 ** 2 + 1 + 2 ** 2 + 1;

function tensorOf(dtype: "F16" | "F32", shape: readonly number[], byteLength: number): Tensor {
  return storedTensor({ file: 0, offset: 0, byteLength, dtype, shape }, { name: "w" });
}

/** What comparing some of the rows says. */
function compared(
  source: readonly number[],
  written: readonly number[],
  { firstRow = 0, rows = 3, shape = [3, 2] } = {},
) {
  const [a, b] = [
    new Uint8Array(Float32Array.from(source).buffer),
    new Uint8Array(Uint16Array.from(written).buffer),
  ];
  const fds = [a, b].map((bytes, i) => {
    writeFileSync(join(folder, `${i}`), bytes);
    return openSync(join(folder, `${i}`), "r");
  });
  try {
    const job = {
      ...{ source: tensorOf("F32", [3, 2], a.length), sourceFiles: [fds[0]!], firstRow, rows },
      ...{ written: tensorOf("F16", shape, b.length), writtenFiles: [fds[1]!] },
    };
    return compare(job, kernels);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

const changed = (at: number, bits: number) => FRESH.with(at, bits);
const fresh = { squaredSum: SQUARES, freshSquaredError: 1, nonFinite: 0, allZero: false };

describe("written rows against those they were made from", () => {
  // biome-ignore format: columns
  test.each<[what: string, written: readonly number[], found: object]>([
    ["as quantizing gives them",     FRESH,              { ...fresh, identicalRows: 3, squaredError: 1 }],
    ["one rounded to the other side", changed(0, 0x6801), { ...fresh, identicalRows: 2, squaredError: 1 }],
    ["one of 3 that is 2",           changed(1, 0x4000), { ...fresh, identicalRows: 2, squaredError: 2 }],
    ["the last, -0 for 0",           changed(5, 0x8000), { ...fresh, identicalRows: 2, squaredError: 1 }],
    ["two in one row",               FRESH.with(2, 0).with(3, 0), { ...fresh, identicalRows: 2, squaredError: 1 + 1 + 4 }],
    ["two in two rows",              FRESH.with(2, 0).with(4, 0), { ...fresh, identicalRows: 1, squaredError: 1 + 1 + 1 }],
    ["zeros alone",                  FRESH.map(() => 0), { ...fresh, identicalRows: 0, squaredError: SQUARES, allZero: true }],
    ["zeros but the last",           [0, 0, 0, 0, 0, 1], { ...fresh, identicalRows: 0, allZero: false }],
    ["an infinity",                  changed(2, 0x7c00), { ...fresh, identicalRows: 2, nonFinite: 1 }],
    ["NaN, twice, and an infinity",  [0x7e00, 0x4200, 0xfc00, 0x4000, 0xbc00, 0x7e00], { ...fresh, identicalRows: 0, nonFinite: 3 }],
  ])("%s", (_, written, found) => {
    expect(compared(SOURCE, written)).toMatchObject(found);
  });

  test("from some row to another", () => {
    const spoilt = changed(0, 0).with(4, 0);
    expect(compared(SOURCE, spoilt, { firstRow: 1, rows: 1 })).toEqual({
      ...{
        identicalRows: 1,
        squaredError: 0,
        freshSquaredError: 0,
        squaredSum: 5,
        nonFinite: 0,
        allZero: false,
      },
    });
    expect(compared(SOURCE, spoilt, { firstRow: 2, rows: 1 })).toEqual({
      ...{
        identicalRows: 0,
        squaredError: 1,
        freshSquaredError: 0,
        squaredSum: 1,
        nonFinite: 0,
        allZero: true,
      },
    });
  });

  test("of another shape, or a source that is not finite, are refused", () => {
    expect(refusal(() => compared(SOURCE, FRESH, { shape: [2, 3] }))).toMatch(
      /^bad-input: tensor w: shapes differ/,
    );
    for (const [row, column] of [
      [1, 1],
      [2, 0],
    ] as const) {
      const spoilt = SOURCE.with(2 * row + column, Number.NaN);
      const place = RegExp(`^bad-input: tensor w: row ${row}, column ${column}: the weight is NaN`);
      expect(refusal(() => compared(spoilt, FRESH))).toMatch(place);
      expect(refusal(() => compared(spoilt, FRESH, { firstRow: 1, rows: 2 }))).toMatch(place);
    }
  });
});
