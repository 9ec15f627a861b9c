import { describe, expect, test } from "vitest";
import { type Damping, factorize } from "../../../src/eval/calibrate/moments/factor.js";
import type { Matrix } from "../../../src/eval/calibrate/moments/moments.js";
import { WorkerPool } from "../../../src/run/threads/pool.js";
import { Random } from "../../support/random.js";

const PLAIN: Damping = { shrink: 0, damp: 0 };

/** Factor, order and diagonal of moments of which only what is below the diagonal and on it is given. */
async function factorOf(rows: readonly (readonly number[])[], damping = PLAIN, group = 1) {
  const n = rows.length;
  const moments: Matrix = { buffer: new SharedArrayBuffer(n * n * 4), columns: n };
  const values = new Float32Array(moments.buffer).fill(99); // above the diagonal, where nothing counts
  for (const [i, row] of rows.entries()) values.set(row.slice(0, i + 1), i * n);
  const pool = new WorkerPool(0);
  const { l, diagonal, order } = await factorize(pool, moments, damping, group);
  await pool.close();
  const floats = new Float32Array(l.buffer);
  const at = (i: number, j: number) => floats[i * n + j]!;
  const lower = rows.map((_, i) => Array.from({ length: i + 1 }, (_, j) => at(i, j)));
  const upper = rows.map((_, i) => Array.from({ length: n - i - 1 }, (_, j) => at(i, i + 1 + j)));
  return { lower, upper, order: [...new Int32Array(order)], diagonal: [...new Float32Array(diagonal)] };
}

describe("by hand", () => {
  test("the factor of a matrix of nine", async () => {
    // [2 0 0; 6 1 0; -8 5 3] times its transpose
    const rows = [[4], [12, 37], [-16, -43, 98]];
    expect(await factorOf(rows)).toEqual({
      lower: [[2], [6, 1], [-8, 5, 3]],
      upper: [[12, -16], [-43], []],
      order: [0, 1, 2],
      diagonal: [4, 37, 98],
    });
  });

  test("columns stand by rising diagonal", async () => {
    // the same with its columns in another order: 98, 4, 37
    const rows = [[98], [-16, 4], [-43, 12, 37]];
    expect(await factorOf(rows)).toMatchObject({
      lower: [[2], [6, 1], [-8, 5, 3]],
      order: [1, 2, 0],
      diagonal: [4, 37, 98],
    });
  });

  test("of equal ones the later first, and groups by their sums", async () => {
    const eye = (values: readonly number[]) =>
      values.map((value, i) => [...Array.from({ length: i }, () => 0), value]);
    expect((await factorOf(eye([4, 1, 4, 1]))).order).toEqual([3, 1, 2, 0]);
    expect((await factorOf(eye([4, 1, 1, 9, 1, 1]), PLAIN, 2)).order).toEqual([4, 5, 0, 1, 2, 3]);
    expect((await factorOf(eye([4, 1, 1, 4]), PLAIN, 2)).order).toEqual([2, 3, 0, 1]);
  });

  test("what is beside the diagonal is shrunk, and a part of the mean is added on it", async () => {
    // mean (1 + 7) / 2 = 4, of which 3/4 is 3: 4 and 10; beside them 8 · 1/2 = 4; 10 - (4/2)² = 6
    const { lower, diagonal } = await factorOf([[1], [8, 7]], { shrink: 0.5, damp: 0.75 });
    expect(diagonal).toEqual([4, 10]);
    expect(lower[0]).toEqual([2]);
    expect(lower[1]).toEqual([2, expect.closeTo(Math.sqrt(6), 6)]);
  });
});

/** Cholesky's factor in float64, row by row. */
function textbook(a: readonly (readonly number[])[]): number[][] {
  const l: number[][] = a.map(() => []);
  for (const [i, row] of a.entries()) {
    for (let j = 0; j <= i; j++) {
      let sum = row[j]!;
      for (let k = 0; k < j; k++) sum -= l[i]![k]! * l[j]![k]!;
      l[i]!.push(i === j ? Math.sqrt(sum) : sum / l[j]![j]!);
    }
  }
  return l;
}

// Tiles have 256 columns, stripes 64 rows: sizes of one, of several, and with a smaller one at the end.
test.each([8, 64, 96, 256, 288, 576])("%d columns have the factor of the textbook", async (n) => {
  const random = new Random(n);
  const x = Array.from({ length: n }, () =>
    Array.from({ length: 24 }, () => ((random.u32() % 33) - 16) / 16),
  );
  const dot = (i: number, j: number) => x[i]!.reduce((sum, value, t) => sum + value * x[j]![t]!, 0);
  const rows = x.map((_, i) => Array.from({ length: i + 1 }, (_, j) => dot(i, j)));
  const damping = { shrink: 0.25, damp: 0.5 };
  const { lower, order, diagonal } = await factorOf(rows, damping);
  expect([...order].sort((a, b) => a - b)).toEqual(rows.map((_, i) => i));
  const mean = rows.reduce((sum, row, i) => sum + row[i]!, 0) / n;
  const damped = order.map((from, i) =>
    order.map((to, j) => (i === j ? dot(from, from) + 0.5 * mean : 0.75 * dot(from, to))),
  );
  const wanted = textbook(damped);
  let worst = 0;
  for (const [i, row] of wanted.entries()) {
    for (const [j, value] of row.entries()) worst = Math.max(worst, Math.abs(value - lower[i]![j]!));
  }
  expect(worst).toBeLessThan(1e-4);
  expect(diagonal.every((value, i) => Math.abs(value - damped[i]![i]!) < 1e-4)).toBe(true);
});
