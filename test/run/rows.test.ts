import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { TensorSource } from "../../formats/container.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { readRowsF32 } from "../../src/rows/rows.js";
import type { RowRange, Tensor } from "../../src/tensor.js";
import { scratchFolder } from "../support/scratch.js";

// Every layout is checked against the same reading written out with plain arrays.

const folder = scratchFolder();
const kernels = new Kernels();
/** Element i of the file is the number i. */
const COUNT = 6000;
const path = join(folder, "numbers");
writeFileSync(path, new Uint8Array(Float32Array.from({ length: COUNT }, (_, i) => i).buffer));
const fd = openSync(path, "r");
afterAll(() => closeSync(fd));

function source(firstElement: number, shape: number[], strides?: number[]): TensorSource {
  const elements = shape.reduce((a, b) => a * b, 1);
  const base = { file: 0, offset: firstElement * 4, byteLength: elements * 4, dtype: "F32" as const, shape };
  return strides === undefined ? base : { ...base, strides };
}

function tensor(shape: number[], sources: TensorSource[], parts: Partial<Tensor> = {}): Tensor {
  const name = "t";
  const rest = { role: "ffn_up", layer: 0, dtype: "F32", joined: "rows", ranges: undefined } as const;
  return { name, shape, sources, ...rest, transforms: [], steps: [], values: undefined, ...parts };
}

/** All rows, read `step` at a time. */
function read(t: Tensor, step: number): number[][] {
  const length = t.shape.at(-1)!;
  const rows = t.shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const result: number[][] = [];
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first);
    kernels.reset();
    const dst = kernels.reserve(count * length * 4);
    readRowsF32(kernels, [fd], t, first, count, dst);
    const values = kernels.floats(dst, count * length);
    for (let i = 0; i < count; i++) result.push([...values.slice(i * length, (i + 1) * length)]);
  }
  return result;
}

function expected(rows: number, columns: number, at: (row: number, column: number) => number): number[][] {
  return Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => at(r, c)));
}

/** What transformers' conversion does to one head: view (2, d/2), swap, flatten. */
function permuted(row: number, headRows: number): number {
  const head = Math.floor(row / headRows);
  const order = Array.from({ length: headRows / 2 }, (_, j) => [j, j + headRows / 2]).flat();
  return head * headRows + order[row % headRows]!;
}

const heads = [{ kind: "permuteRope" as const, heads: 3 }];
const ranges: RowRange[] = [
  { source: 1, first: 2, count: 3 },
  { source: 0, first: 1, count: 4 },
  { source: 1, first: 0, count: 1 },
];

test.each([1, 3, 5, 100])("rows read %d at a time", (step) => {
  const two = [source(100, [6, 7]), source(1000, [8, 7])];
  expect(read(tensor([6, 7], [two[0]!]), step)).toEqual(expected(6, 7, (r, c) => 100 + 7 * r + c));
  expect(read(tensor([14, 7], two), step)).toEqual(
    expected(14, 7, (r, c) => (r < 6 ? 100 + 7 * r : 1000 + 7 * (r - 6)) + c),
  );
  expect(read(tensor([8, 7], two, { ranges }), step)).toEqual(
    expected(8, 7, (r, c) => [1014, 1021, 1028, 107, 114, 121, 128, 1000][r]! + c),
  );
  expect(read(tensor([12, 5], [source(0, [12, 5])], { transforms: heads }), step)).toEqual(
    expected(12, 5, (r, c) => 5 * permuted(r, 4) + c),
  );
  const wide = [source(10, [6, 7]), source(500, [6, 3])];
  expect(read(tensor([6, 10], wide, { joined: "columns" }), step)).toEqual(
    expected(6, 10, (r, c) => (c < 7 ? 10 + 7 * r + c : 500 + 3 * r + c - 7)),
  );
  expect(read(tensor([9, 4], [source(20, [9, 4], [1, 9])]), step)).toEqual(
    expected(9, 4, (r, c) => 20 + 9 * c + r),
  );
  expect(read(tensor([5, 4], [source(20, [5, 4], [30, 2])]), step)).toEqual(
    expected(5, 4, (r, c) => 20 + 30 * r + 2 * c),
  );
  expect(read(tensor([2, 6, 7], [source(0, [6, 7]), source(100, [6, 7])]), step)).toEqual(
    expected(12, 7, (r, c) => (r < 6 ? 7 * r : 100 + 7 * (r - 6)) + c),
  );
});

test("a vector is permuted and cut by element", () => {
  const t = tensor([12], [source(40, [12])], { transforms: heads });
  expect(read(t, 1)).toEqual([Array.from({ length: 12 }, (_, i) => 40 + permuted(i, 4))]);
  const cut = tensor([8], [source(0, [9]), source(50, [9])], { ranges });
  expect(read(cut, 1)).toEqual([[52, 53, 54, 1, 2, 3, 4, 50]]);
});

test.each([1, 2, 4])("steps change the values, rows read %d at a time", (step) => {
  const t = (...steps: Tensor["steps"]) => tensor([4, 6], [source(1, [4, 6])], { steps });
  const at = (r: number, c: number) => 1 + 6 * r + c;
  expect(read(t({ kind: "add", value: 0.5 }), step)).toEqual(expected(4, 6, (r, c) => at(r, c) + 0.5));
  expect(read(t({ kind: "add", value: -2 }, { kind: "negExp" }), step)).toEqual(
    expected(4, 6, (r, c) => Math.fround(-Math.exp(at(r, c) - 2))),
  );
  const length = (r: number) => Math.hypot(...Array.from({ length: 6 }, (_, c) => at(r, c)));
  const normalized = read(t({ kind: "normalizeRows" }), step);
  for (const [r, row] of normalized.entries()) {
    for (const [c, value] of row.entries()) expect(value).toBeCloseTo(at(r, c) / length(r), 6);
  }
});
