import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { LlqError } from "../../../formats/errors.js";
import type { Plan } from "../../../src/quant/plan.js";
import { claimAllParts } from "../../../src/run/parts/claim-part.js";
import { executePart } from "../../../src/run/parts/file.js";
import { type FinishOptions, finishFile } from "../../../src/run/parts/finish-file.js";
import { gatherParts } from "../../../src/run/parts/gather.js";
import { PartRecord, readEntries, readRecord, recordPath } from "../../../src/run/parts/record.js";
import { type Lock, tryLock } from "../../../src/run/write/lock.js";
import { storedTensor } from "../../support/build/tensor.js";
import { scratchFolder } from "../../support/scratch.js";

// A file of three tensors of F16, worked out by hand. A job has 2^20 weights: a has one, b one of 2 rows, c two and one of
// half as many rows. Their middles are at 0.57, 1.14, 1.72, 2.86 and 3.71 quarters of all weights.

const folder = scratchFolder();
const ROW = 1024;
const MEGA = 1024 * ROW;
const HEADER = Buffer.from("forty bytes that say what is in the file");
const A = { name: "a", rows: 1024, offset: 64, byteLength: 2 * MEGA };
const B = { name: "b", rows: 2, offset: 64 + 2 * MEGA, byteLength: 4 * ROW };
const C = { name: "c", rows: 2560, offset: 96 + 2 * MEGA + 4 * ROW, byteLength: 5 * MEGA };
const BYTES = C.offset + C.byteLength;
/** Tensor and job of every part of four, and their weights. */
const SHARES = [
  { jobs: ["0 0"], elements: MEGA },
  { jobs: ["1 0", "2 0"], elements: 2 * ROW + MEGA },
  { jobs: ["2 1"], elements: MEGA },
  { jobs: ["2 2"], elements: MEGA / 2 },
];

let plan: Plan;
/** The file as it is to be. */
let whole: Buffer;
beforeAll(() => {
  const source = join(folder, "source");
  const weights = Buffer.alloc(A.byteLength + B.byteLength + C.byteLength);
  // small numbers of F16, in every half of a job another
  for (let at = 0; at < weights.length; at += ROW) weights.writeUInt16LE(0x3c00 + at / ROW, at);
  writeFileSync(source, weights);
  let from = 0;
  whole = Buffer.alloc(BYTES);
  HEADER.copy(whole);
  const tensors = [A, B, C].map(({ name, rows, offset, byteLength }) => {
    const shape = [rows, ROW];
    const stored = { file: 0, offset: from, byteLength, dtype: "F16" as const, shape };
    weights.copy(whole, offset, from, from + byteLength);
    from += byteLength;
    const tensor = storedTensor(stored, { name });
    return {
      tensor,
      dtype: "F16" as const,
      reason: "",
      fellBack: false,
      weights: undefined,
      offset,
      byteLength,
    };
  });
  plan = {
    ...{ recipe: "of mine", files: [source], metadata: new Map(), header: HEADER, tensors },
    ...{ unguided: [], remarks: [], byteLength: BYTES },
  };
});

const part = (output: string, no: number, options: object = {}) =>
  executePart(plan, output, { no, count: 4 }, { threads: 0, ...options });
const path = (output: string, no: number) => recordPath(output, { no, count: 4 });
const finish = (output: string, options: FinishOptions = {}) =>
  finishFile(output, gatherParts(output), { threads: 0, ...options });

/** What a part has noted, in short. */
function notes(output: string, no: number): string[] {
  return [...readEntries(readRecord(path(output, no)))].map((entry) => {
    const { header, tensor, job } = entry as Record<string, number>;
    return header === undefined ? `${tensor} ${job}` : "header";
  });
}

/** Turns a bit of a byte. */
function spoil(file: string, at: number): void {
  const fd = openSync(file, "r+");
  writeSync(fd, Buffer.of(readFileSync(file)[at]! ^ 1), 0, 1, at);
  closeSync(fd);
}

describe("parts of one file", () => {
  test("do the jobs whose middles are theirs, and finish says what they have made", async () => {
    const output = join(folder, "four");
    for (const [i, { jobs, elements }] of SHARES.entries()) {
      const seen: number[][] = [];
      const onProgress = (done: number, total: number) => seen.push([done, total]);
      const summary = await part(output, i + 1, { onProgress });
      expect(summary).toMatchObject({ no: i + 1, count: 4, output, elements, resumed: 0 });
      expect(seen.at(-1)).toEqual([elements, elements]);
      expect(seen).toHaveLength(jobs.length);
      expect(notes(output, i + 1)).toEqual(i === 0 ? ["header", ...jobs] : jobs);
    }
    const seen: number[][] = [];
    const finished = await finish(output, { onProgress: (done, total) => seen.push([done, total]) });
    expect(finished).toMatchObject({
      ...{ output, recipe: "of mine", parts: 4, byteLength: BYTES },
      elements: (1024 + 2 + 2560) * ROW,
      tensors: ["a", "b", "c"].map((name) => ({ name, dtype: "F16", relativeError: 0, maxError: 0 })),
    });
    expect(finished.seconds).toBeGreaterThan(0);
    // the header, the jobs, and nothing between them
    const all = 40 + 7 * MEGA + 4 * ROW;
    expect(seen).toHaveLength(6);
    expect(seen[0]).toEqual([40, all]);
    expect(seen[1]).toEqual([40 + 2 * MEGA, all]);
    expect(seen.at(-1)).toEqual([all, all]);
    expect(readFileSync(output).equals(whole)).toBe(true);
  });

  // biome-ignore format: columns
  test.each<[what: string, bytes: readonly number[], from: number, no: number, anew: number]>([
    ["the header",                   [3],                             0,                    1, 0],
    ["the header's last byte",       [39],                            0,                    1, 0],
    ["a tensor's last byte",         [B.offset - 1],                  A.offset,             1, MEGA],
    ["a tensor's first byte",        [B.offset],                      B.offset,             2, 2 * ROW],
    ["a first job's last byte",      [C.offset + 2 * MEGA - 1],       C.offset,             2, MEGA],
    ["a second job",                 [C.offset + 2 * MEGA],           C.offset + 2 * MEGA,  3, MEGA],
    ["the file's last byte",         [BYTES - 1],                     C.offset + 4 * MEGA,  4, MEGA / 2],
    ["two jobs: the first is named", [BYTES - 1, C.offset + 3 * MEGA], C.offset + 2 * MEGA, 3, MEGA],
  ])("damaged in %s are found from the byte where it begins", async (_, bytes, from, no, anew) => {
    const output = join(folder, "damaged");
    for (const each of [1, 2, 3, 4]) await part(output, each);
    for (const at of bytes) spoil(`${output}.partial`, at);
    await expect(finish(output)).rejects.toMatchObject({
      code: "no-space",
      message: `${output}.partial: from byte ${from} it is not what part ${no}/4 has written`,
      hint: `run part ${no}/4 again: it does what is damaged anew`,
    });
    const { elements, resumed } = await part(output, no);
    expect(elements - resumed).toBe(anew);
    for (const each of [1, 2, 3, 4]) await part(output, each);
    await finish(output, { force: true });
    expect(readFileSync(output).equals(whole)).toBe(true);
    rmSync(output);
  });

  test("what stands between tensors, and behind the last, is no damage", async () => {
    const output = join(folder, "between");
    for (const no of [1, 2, 3, 4]) await part(output, no);
    for (const at of [40, 63, C.offset - 32, C.offset - 1]) spoil(`${output}.partial`, at);
    await finish(output);
    expect(readFileSync(output).equals(whole)).toBe(true);
  });

  test("a file cut off has lost what its end was", async () => {
    const output = join(folder, "cut off");
    for (const no of [1, 2, 3, 4]) await part(output, no);
    const fd = openSync(`${output}.partial`, "r+");
    ftruncateSync(fd, C.offset);
    closeSync(fd);
    await expect(finish(output)).rejects.toMatchObject({
      message: expect.stringContaining(`from byte ${C.offset} it is not what part 2/4`),
    });
  });
});

describe("what an earlier run of a part has left", () => {
  const good = { byteLength: 4 * ROW, checksum: 1, squaredError: 0, squaredSum: 0, maxError: 0 };

  test.each<[what: string, entry: unknown]>([
    ["a number", 7],
    ["nothing", null],
    ["a job without result", { tensor: 1, job: 0 }],
    ["a result that is none", { tensor: 1, job: 0, result: "done" }],
    ["a result without its bytes", { tensor: 1, job: 0, result: { ...good, byteLength: undefined } }],
    ["a checksum that is no number", { tensor: 1, job: 0, result: { ...good, checksum: "1" } }],
    ["another checksum", { tensor: 1, job: 0, result: good }],
    ["a header", { header: 1 }],
    ["a job of another part", { tensor: 0, job: 0, result: good }],
    ["a job that there is not", { tensor: 1, job: 1, result: good }],
  ])("among which is %s: that is passed over, and the rest stays done", async (what, entry) => {
    const output = join(folder, `left ${what}`);
    await part(output, 2);
    const found = readRecord(path(output, 2));
    const [, c] = [...readEntries(found)];
    const record = PartRecord.create(found.path, found);
    for (const each of [entry, c]) record.add(each);
    record.close();
    expect(await part(output, 2)).toMatchObject({ elements: 2 * ROW + MEGA, resumed: MEGA });
    expect(notes(output, 2)).toEqual(["2 0", "1 0"]);
  });

  test("that says all is done with a job missing", async () => {
    const output = join(folder, "ended early");
    await part(output, 2);
    const found = readRecord(path(output, 2));
    const [b] = [...readEntries(found)];
    const record = PartRecord.create(found.path, found);
    record.add(b);
    record.end();
    record.close();
    expect(await part(output, 2)).toMatchObject({ resumed: 2 * ROW });
  });
});

describe("a part that may not begin", () => {
  test("stopped before it did anything says so, and leaves the part free", async () => {
    const output = join(folder, "stopped");
    const signal = AbortSignal.abort(new LlqError("interrupted", "stopped"));
    await expect(part(output, 1, { signal })).rejects.toMatchObject({
      code: "interrupted",
      message: "stopped",
    });
    expect(await part(output, 1)).toMatchObject({ resumed: 0 });
  });

  test("is refused while the whole file is being written, and leaves that run its lock", async () => {
    const output = join(folder, "held");
    const held = tryLock(`${output}.partial.lock`) as Lock;
    for (const no of [1, 4])
      await expect(part(output, no)).rejects.toMatchObject({
        code: "usage",
        message: expect.stringMatching(RegExp(`held: is being written by process ${process.pid} on `)),
      });
    expect(tryLock(`${output}.partial.lock`)).toMatchObject({ owner: { pid: process.pid } });
    held.release();
    await part(output, 4);
    (tryLock(`${output}.partial.lock`) as Lock).release();
  });

  test("nor are parts finished while one is being done: the others' are free afterwards", async () => {
    const output = join(folder, "all");
    for (const no of [1, 2]) await part(output, no);
    const held = tryLock(`${path(output, 2)}.lock`) as Lock;
    expect(() => claimAllParts(output)).toThrow(
      expect.objectContaining({
        code: "usage",
        message: expect.stringMatching(/all: part 2\/4 is still being done by process \d+/),
        hint: "llq finish comes when all parts are done",
      }),
    );
    const first = tryLock(`${path(output, 1)}.lock`) as Lock;
    first.release();
    held.release();
    const all = claimAllParts(output);
    for (const no of [1, 2]) expect(tryLock(`${path(output, no)}.lock`)).toHaveProperty("owner");
    all.release();
    for (const no of [1, 2]) (tryLock(`${path(output, no)}.lock`) as Lock).release();
  });
});
