import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { DTypeName } from "../../../formats/dtype.js";
import { Kernels } from "../../../src/kernels/kernels.js";
import { type EncodeTarget, encode, writeError } from "../../../src/run/write/encode.js";
import { reportOf } from "../../../src/run/write/partials.js";
import { cutRows, rowsOfJob } from "../../../src/run/write/row-jobs.js";
import { jointJobs } from "../../../src/run/write/tensor-jobs.js";
import type { Tensor } from "../../../src/tensor.js";
import { refusal } from "../../support/build/build.js";
import { storedTensor } from "../../support/build/tensor.js";
import { scratchFolder } from "../../support/scratch.js";

const folder = scratchFolder();
const kernels = new Kernels();

function tensorOf(dtype: DTypeName, shape: readonly number[], byteLength: number): Tensor {
  return storedTensor({ file: 0, offset: 0, byteLength, dtype, shape }, { name: "w" });
}

/** What a file has after some rows of `values` were written to it, from byte 8, in a type; and the result. */
function encoded(
  values: Float32Array | Uint16Array,
  shape: readonly number[],
  dtype: DTypeName,
  { firstRow = 0, rows = shape.slice(0, -1).reduce((a, b) => a * b, 1) } = {},
  weights?: EncodeTarget["weights"],
) {
  const [from, to] = [join(folder, "from"), join(folder, "to")];
  writeFileSync(from, values);
  const [fd, out] = [openSync(from, "r"), openSync(to, "w")];
  try {
    const tensor = tensorOf(values instanceof Float32Array ? "F32" : "F16", shape, values.byteLength);
    const targets = [{ dtype, weights, outputs: [{ fd: out, name: "to", offset: 8 }] }];
    const [result] = encode({ tensor, files: [fd], firstRow, rows, targets }, kernels);
    return { result: result!, bytes: readFileSync(to).subarray(8) };
  } finally {
    for (const each of [fd, out]) closeSync(each);
  }
}

// F16 rows of 8192: 8 of them are 2^16 weights, which are looked at at a time; 4096 are a part of a row.
describe("rows that are read in pieces", () => {
  const [rows, length] = [19, 8192];
  const values = Uint16Array.from({ length: rows * length }, (_, i) => 0x3c00 + Math.floor(i / length));

  test("are copied as they stand, each once", () => {
    for (const some of [{}, { firstRow: 3, rows: 8 }, { firstRow: 2, rows: 16 }, { firstRow: 18, rows: 1 }]) {
      const { firstRow, rows: count } = { firstRow: 0, rows, ...some };
      const own = values.subarray(firstRow * length, (firstRow + count) * length);
      const { result, bytes } = encoded(values, [rows, length], "F16", some);
      expect(result).toMatchObject({ byteLength: 2 * count * length, squaredError: 0, maxError: 0 });
      expect(Buffer.compare(bytes, new Uint8Array(own.slice().buffer))).toBe(0);
    }
  });

  test.each([0, 7, 8, 15, 16, 18])("row %i is named, where it is not finite, copied or not", (row) => {
    const spoilt = values.with(row * length + 5, 0x7c00);
    const place = `bad-input: tensor w: row ${row}, column 5: the weight is Infinity`;
    for (const type of ["F16", "F32", "Q8_0"] as const) {
      expect(refusal(() => encoded(spoilt, [rows, length], type))).toContain(place);
      if (row > 0)
        expect(refusal(() => encoded(spoilt, [rows, length], type, { firstRow: row, rows: 1 }))).toContain(
          place,
        );
      if (row > 0)
        expect(refusal(() => encoded(spoilt, [rows, length], type, { firstRow: 0, rows: row }))).toBe(
          "accepted",
        );
    }
  });

  test("are widened in place, and say how far they are from what they were", () => {
    const { result, bytes } = encoded(values, [rows, length], "F32", { firstRow: 1, rows: 10 });
    // 0x3c00 + n is 1 + n / 1024
    const wide = Float32Array.from(
      { length: 10 * length },
      (_, i) => 1 + (1 + Math.floor(i / length)) / 1024,
    );
    expect(Buffer.compare(bytes, new Uint8Array(wide.buffer))).toBe(0);
    const squares = Array.from({ length: 10 }, (_, r) => length * (1 + (1 + r) / 1024) ** 2).reduce(
      (a, b) => a + b,
    );
    expect(result).toMatchObject({ byteLength: 40 * length, squaredError: 0, maxError: 0 });
    // four at a time, as f32
    expect(result.squaredSum / squares).toBeCloseTo(1, 6);
  });

  test("rounded, have sums of squares and the largest error", () => {
    // half-way between numbers of F16: 2049 becomes 2048, -1024.5 becomes -1024
    const floats = Float32Array.of(2049, 3, 4, -1024.5, 0, 1);
    const { result, bytes } = encoded(floats, [3, 2], "F16");
    expect(result).toMatchObject({ squaredError: 1 + 0.25, maxError: 1 });
    expect(result.squaredSum / (2049 ** 2 + 9 + 16 + 1024.5 ** 2 + 1)).toBeCloseTo(1, 6);
    expect([...new Uint16Array(Uint8Array.from(bytes).buffer)]).toEqual([
      0x6800, 0x4200, 0x4400, 0xe400, 0, 0x3c00,
    ]);
  });
});

describe("importances of stacked matrices", () => {
  // where one weight alone counts, Q4_1's search gives that weight more exactly than the others
  const noise = Float32Array.from({ length: 4 * 32 }, (_, i) => Math.sin(i * i));
  const ones = new Float32Array(32).fill(1);
  const steep = Float32Array.from({ length: 32 }, (_, i) => (i === 3 ? 1e6 : 1e-6));
  const bytesOf = (weights: readonly Float32Array[], some: { firstRow?: number; rows?: number } = {}) =>
    encoded(noise, [2, 2, 32], "Q4_1", some, weights).bytes.toString("hex");
  const ROW = 2 * 20;

  test("guide the rows of their own matrix, in whichever rows a job has", () => {
    const [flat, pointed] = [bytesOf([ones, ones]), bytesOf([steep, steep])];
    for (let row = 0; row < 4; row++)
      expect(flat.slice(row * ROW, (row + 1) * ROW)).not.toBe(pointed.slice(row * ROW, (row + 1) * ROW));
    expect(bytesOf([ones, steep])).toBe(flat.slice(0, 2 * ROW) + pointed.slice(2 * ROW));
    expect(bytesOf([steep, ones])).toBe(pointed.slice(0, 2 * ROW) + flat.slice(2 * ROW));
    // of a job those of its own matrices are given
    expect(bytesOf([ones, steep], { firstRow: 1, rows: 2 })).toBe(
      flat.slice(ROW, 2 * ROW) + pointed.slice(2 * ROW, 3 * ROW),
    );
    expect(bytesOf([steep], { firstRow: 2, rows: 2 })).toBe(pointed.slice(2 * ROW));
  });
});

describe("jobs", () => {
  test.each<[shape: number[], cut: [firstRow: number, rows: number][]]>([
    [[7], [[0, 1]]],
    [[1024, 1024], [[0, 1024]]],
    [
      [1025, 1024],
      [
        [0, 1024],
        [1024, 1],
      ],
    ],
    [
      [2, 1500, 1024],
      [
        [0, 1024],
        [1024, 1024],
        [2048, 952],
      ],
    ],
    [
      [3, 2 ** 20],
      [
        [0, 1],
        [1, 1],
        [2, 1],
      ],
    ],
    [
      [2, 2 ** 21],
      [
        [0, 1],
        [1, 1],
      ],
    ],
    [
      [3, 2 ** 19 + 1],
      [
        [0, 1],
        [1, 1],
        [2, 1],
      ],
    ],
    [[0, 32], []],
  ])("of %j are of 2^20 weights, but of a row at least", (shape, cut) => {
    expect(cutRows({ shape })).toEqual(cut.map(([firstRow, rows]) => ({ firstRow, rows })));
    for (const { rows } of cutRows({ shape })) expect(rows).toBeLessThanOrEqual(rowsOfJob({ shape }));
  });

  test("have the importances of their matrices, and their places in every output", () => {
    // two matrices of 1536 rows: the second job has rows of both
    const shape = [2, 1536, 1024];
    const tensor = tensorOf("F32", shape, 0);
    const weights = [Float32Array.of(1), Float32Array.of(2)];
    const plan = { tensor, dtype: "Q8_0" as const, reason: "", fellBack: false, weights };
    const byteLength = 3072 * 1088; // 34 bytes for 32 weights
    const places = [100, 7000].map((offset, i) => ({
      plan: { ...plan, offset, byteLength },
      output: { fd: i, name: `o${i}` },
    }));
    const jobs = jointJobs([places], [5]);
    expect(jobs.map(({ firstRow, rows }) => [firstRow, rows])).toEqual([
      [0, 1024],
      [1024, 1024],
      [2048, 1024],
    ]);
    expect(jobs.map(({ targets }) => targets[0]!.weights)).toEqual([[weights[0]], weights, [weights[1]]]);
    // matrices that end where jobs do
    const even = { ...plan, tensor: tensorOf("F32", [2, 1024, 1024], 0), offset: 0, byteLength: 2048 * 1088 };
    const apart = jointJobs([[{ plan: even, output: { fd: 0, name: "o" } }]], [5]);
    expect(apart.map(({ targets }) => targets[0]!.weights)).toEqual([[weights[0]], [weights[1]]]);
    const offsets = jobs.map(({ targets }) => targets[0]!.outputs.map(({ offset }) => offset));
    expect(offsets).toEqual([0, 1024, 2048].map((row) => [100 + row * 1088, 7000 + row * 1088]));
  });
});

test("what became of a tensor: the root of all errors' squares by all squares, and the largest error", () => {
  const result = (squaredError: number, squaredSum: number, maxError: number) => ({
    ...{ byteLength: 1, checksum: 1, squaredError, squaredSum, maxError },
  });
  expect(reportOf("w", "F16", [result(1, 30, 0.5), result(3, 34, 0.75), result(0, 0, 0.25)])).toEqual({
    ...{ name: "w", dtype: "F16", relativeError: 0.25, maxError: 0.75 },
  });
  expect(reportOf("w", "F16", [result(0, 0, 0)])).toMatchObject({ relativeError: 0, maxError: 0 });
  expect(reportOf("w", "F16", [])).toMatchObject({ relativeError: 0, maxError: 0 });
});

test.each<[code: string | undefined, kind: string, words: string, hint: string | undefined]>([
  ["ENOSPC", "no-space", "o: the disk is full", "free some space or choose another output folder"],
  ["EDQUOT", "no-space", "o: the disk is full", "free some space or choose another output folder"],
  ["EMFILE", "system", "o: cannot be written (EMFILE)", undefined],
  ["ENFILE", "system", "o: cannot be written (ENFILE)", undefined],
  ["EIO", "no-space", "o: cannot be written (EIO)", undefined],
  ["EACCES", "no-space", "o: cannot be written (EACCES)", undefined],
  [undefined, "no-space", "o: cannot be written (Error: why)", undefined],
])("a write that fails with %s", (code, kind, message, hint) => {
  const cause = Object.assign(new Error("why"), code === undefined ? {} : { code });
  const error = writeError("o", cause);
  expect(error).toMatchObject({ code: kind, message, cause });
  expect(error.hint).toBe(hint);
});
