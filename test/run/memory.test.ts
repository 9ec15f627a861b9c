import { describe, expect, test } from "vitest";
import type { DTypeName } from "../../formats/dtype.js";
import type { Plan } from "../../src/quant/plan.js";
import { peakMemory } from "../../src/run/write/memory.js";
import { storedTensor } from "../support/build/tensor.js";

// Bytes by hand, of what a thread holds at most: the rows of a job (2^20 weights) as they are written, those of a piece
// (2^16) as stored, those of a part (2^12) as f32 twice; and 10 MiB for the thread itself.

const THREAD = 10 * 2 ** 20;

function planOf(tensors: readonly (readonly [name: string, columns: number, ...types: DTypeName[]])[]): Plan {
  const plans = tensors.flatMap(([name, columns, ...types]) => {
    const shape = [100_000, columns];
    const source = { file: 0, offset: 0, byteLength: 0, dtype: "F32" as const, shape };
    const tensor = storedTensor(source, { name });
    return types.map((dtype) => ({
      ...{ tensor, dtype, reason: "", fellBack: false, weights: undefined, offset: 0, byteLength: 0 },
    }));
  });
  return {
    ...{ recipe: "", files: [], metadata: new Map(), header: new Uint8Array(), tensors: plans },
    ...{ unguided: [], remarks: [], byteLength: 0 },
  };
}

/** What so many threads add; what is in use may grow meanwhile. */
function expectOfThreads(plans: readonly Plan[], threads: number, bytes: number): void {
  const before = peakMemory(plans, 0);
  const peak = peakMemory(plans, threads);
  const after = peakMemory(plans, 0);
  expect(peak).toBeGreaterThanOrEqual(before + bytes);
  expect(peak).toBeLessThanOrEqual(after + bytes);
}

/** Of F32 rows of 256: a job has 4096 of them, a piece 256, a part 16. Q8_0 has 34 bytes for 32 weights. */
const Q8_0 = 4096 * 8 * 34;
const READ = 256 * 1024 + 16 * 2 * 1024;

describe("memory of so many threads", () => {
  test.each([0, 1, 4, 1000])("%s", (threads) => {
    expectOfThreads([planOf([["a", 256, "Q8_0"]])], threads, threads * (THREAD + Q8_0 + READ));
  });

  test("is that of the largest tensor, in whatever plan and place", () => {
    // Q4_0 has 18 bytes for 32 weights
    const [q8, q4, f32] = (["Q8_0", "Q4_0", "F32"] as const).map((type, i) => planOf([[`${i}`, 256, type]]));
    for (const plans of [
      [q8!, q4!],
      [q4!, q8!],
    ])
      expectOfThreads(plans, 1000, 1000 * (THREAD + Q8_0 + READ));
    expectOfThreads([q8!, f32!, q4!], 1000, 1000 * (THREAD + 4 * 2 ** 20 + READ));
  });

  test("has all types that one tensor becomes at once: it is read once", () => {
    const both = 4096 * 8 * (34 + 18);
    expectOfThreads([planOf([["a", 256, "Q8_0", "Q4_0"]])], 1000, 1000 * (THREAD + both + READ));
    const apart = [planOf([["a", 256, "Q8_0"]]), planOf([["a", 256, "Q4_0"]])];
    expectOfThreads(apart, 1000, 1000 * (THREAD + both + READ));
  });

  test("of rows longer than a part, a piece or a job is that of one row", () => {
    // a job and a piece of one row
    const long = 2 ** 21;
    expectOfThreads([planOf([["a", long, "F32"]])], 1000, 1000 * (THREAD + 4 * long + 4 * long + 8 * long));
    // 16 rows a job, 1 a piece and a part
    const row = 2 ** 16;
    expectOfThreads([planOf([["a", row, "F32"]])], 1000, 1000 * (THREAD + 16 * 4 * row + 4 * row + 8 * row));
  });

  test("of nothing is that of the threads", () => {
    expectOfThreads([], 1000, 1000 * THREAD);
    expectOfThreads([planOf([])], 3, 3 * THREAD);
  });
});
