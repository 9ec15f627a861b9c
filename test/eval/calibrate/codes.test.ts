import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { byteLength, type DTypeName } from "../../../formats/dtype.js";
import { feedbackJob, type Wanted } from "../../../src/eval/calibrate/codes/feedback.js";
import { gridOf, groupOf } from "../../../src/eval/calibrate/codes/grids.js";
import { factorize } from "../../../src/eval/calibrate/moments/factor.js";
import { addMoments, type Matrix } from "../../../src/eval/calibrate/moments/moments.js";
import { importancesOf } from "../../../src/eval/calibrate/rounding.js";
import { Kernels } from "../../../src/kernels/kernels.js";
import { runJob } from "../../../src/run/threads/messages.js";
import { WorkerPool } from "../../../src/run/threads/pool.js";
import { storedWhole, type Tensor } from "../../../src/tensor.js";
import { scratchFolder } from "../../support/scratch.js";

// Rows quantized by the textbook, in float64 and with the inverse of the moments (golden/make/feedback.py); here it is
// done in f32, without an inverse, and must give the same bytes.

const GOLDEN = new URL("../../golden/feedback/", import.meta.url).pathname;
const [ROWS, COLUMNS, TOKENS] = [5, 512, 80];
const DAMPING = { shrink: 0.25, damp: 0.0625 };
const TYPES: readonly DTypeName[] = [
  ...(["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL"] as const),
  ...(["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"] as const),
];

/** Times that the columns are gone through again, and types that have an entry of a codebook for several. */
const DESCENTS = 2;
const BOOKS: readonly DTypeName[] = ["IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"];

const activations = new Int8Array(readFileSync(join(GOLDEN, "activations.i8")));
const expected = readFileSync(join(GOLDEN, "rows.bin"));
const again = readFileSync(join(GOLDEN, "descent.bin"));
const books = readFileSync(join(GOLDEN, "books.bin"));

/** See NOT_MOVED in golden/make/feedback.py. */
const isMoved = (type: DTypeName) => type !== "Q4_0";

/** The rows of a type in the golden file: plain, or with what is wanted beside. */
function goldenRows(type: DTypeName, isWanted: boolean): Buffer {
  let at = 0;
  for (const each of TYPES) {
    const size = byteLength(each, [ROWS, COLUMNS]);
    if (each === type) return expected.subarray(at + (isWanted ? size : 0), at + (isWanted ? 2 : 1) * size);
    at += (isMoved(each) ? 2 : 1) * size;
  }
  throw new Error(type);
}

/** The i-th of files of rows, which have `each` of every type. */
function rowsOf(file: Buffer, types: readonly DTypeName[], type: DTypeName, i = 0, each = 1): Buffer {
  const size = (of: DTypeName) => byteLength(of, [ROWS, COLUMNS]);
  const before = types.slice(0, types.indexOf(type)).reduce((sum, of) => sum + each * size(of), 0);
  return file.subarray(before + i * size(type), before + (i + 1) * size(type));
}

function matrix(rows: number, columns: number, values?: (i: number) => number): Matrix {
  const buffer = new SharedArrayBuffer(rows * columns * 4);
  if (values !== undefined)
    new Float32Array(buffer).set(Float32Array.from({ length: rows * columns }, (_, i) => values(i)));
  return { buffer, columns };
}

async function quantized(type: DTypeName, isWanted: boolean, descents = 0): Promise<Uint8Array> {
  const pool = new WorkerPool(0);
  const folder = scratchFolder();
  const file = openSync(join(GOLDEN, "weights.f32"), "r");
  const output = join(folder, "rows");
  writeFileSync(output, "");
  const fd = openSync(output, "r+");
  onTestFinished(() => {
    closeSync(file);
    closeSync(fd);
  });
  const own = (i: number) => activations[i]! / 16;
  const other = (i: number) => activations[TOKENS * COLUMNS + i]! / 16;
  const x = matrix(TOKENS, COLUMNS, own);
  const moments = matrix(COLUMNS, COLUMNS);
  await addMoments(pool, x, x, TOKENS, moments);
  const missing = matrix(TOKENS, COLUMNS, (i) => other(i) - own(i));
  const sums = matrix(COLUMNS, COLUMNS);
  await addMoments(pool, missing, x, TOKENS, sums);
  const values = new Float32Array(moments.buffer);
  const diagonal = Float64Array.from({ length: COLUMNS }, (_, i) => values[i * (COLUMNS + 1)]!);
  const importances = new SharedArrayBuffer(COLUMNS * 4);
  new Float32Array(importances).set(importancesOf(diagonal, TOKENS, 1e30));
  const factor = await factorize(pool, moments, DAMPING, groupOf([type]));
  const source = {
    file: 0,
    offset: 0,
    byteLength: ROWS * COLUMNS * 4,
    dtype: "F32" as const,
    shape: [ROWS, COLUMNS],
  };
  const tensor: Tensor = {
    ...{ name: "rows", role: "ffn_up", layer: 0, shape: [ROWS, COLUMNS] },
    ...storedWhole(source),
  };
  const wanted: Wanted | undefined = isWanted ? { of: "input", moments: sums, correction: 1 } : undefined;
  runJob(
    feedbackJob,
    {
      ...{
        tensor,
        files: [file],
        dtype: type,
        firstRow: 0,
        rows: ROWS,
        matrixRow: 0,
        importances,
        factor,
        wanted,
      },
      ...{ held: undefined, descents, output: { fd, name: output, offset: 0 } },
    },
    new Kernels(),
  );
  return readFileSync(output);
}

describe.each(TYPES)("%s", (type) => {
  test("has a grid", () => expect(gridOf(type)).toBeDefined());

  test("gets the codes of GPTQ in float64", async () => {
    expect(Buffer.compare(await quantized(type, false), goldenRows(type, false))).toBe(0);
  });

  if (isMoved(type))
    test("gets those of the moved target", async () => {
      expect(Buffer.compare(await quantized(type, true), goldenRows(type, true))).toBe(0);
    });
});

test.each(TYPES)("%s: columns gone through again get what is best beside the others", async (type) => {
  expect(Buffer.compare(await quantized(type, false, DESCENTS), rowsOf(again, TYPES, type))).toBe(0);
});

describe.each(BOOKS)("%s", (type) => {
  test.each([
    ["group by group, what is lost made up for", 0],
    ["gone through again", DESCENTS],
  ])("entries %s", async (_, descents) => {
    const found = rowsOf(books, BOOKS, type, descents === 0 ? 0 : 1, 2);
    expect(Buffer.compare(await quantized(type, false, descents), found)).toBe(0);
  });
});
