import { closeSync, existsSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { Kernels } from "../../../src/kernels/kernels.js";
import { openModel } from "../../../src/model.js";
import { planElements, planQuantize } from "../../../src/quant/plan.js";
import { findRecipe } from "../../../src/quant/recipes/recipes.js";
import { splitBySize } from "../../../src/quant/split.js";
import { executeFiles, finishFiles } from "../../../src/run/parts/files.js";
import { gatherParts } from "../../../src/run/parts/gather.js";
import { readEntries, readRecord, recordPath } from "../../../src/run/parts/record.js";
import { checksum } from "../../../src/run/write/checksum.js";
import { scratchFolder, TINY_LLAMA } from "../../support/scratch.js";
import { leaveRecord } from "./leave-record.js";

const folder = scratchFolder();
const kernels = new Kernels();
let outputs = 0;
const next = () => join(folder, `m${outputs++}`);
const finish = (output: string, options: object = {}) =>
  finishFiles(output, gatherParts(output), { threads: 0, ...options });

/** Of 2^24 bytes each, the last of fewer. */
function checksumsOf(path: string, byteLength: number): number[] {
  const fd = openSync(path, "r");
  const sums: number[] = [];
  for (let offset = 0; offset < byteLength; offset += 2 ** 24) {
    const length = Math.min(2 ** 24, byteLength - offset);
    sums.push(checksum({ file: { fd, name: path }, offset, byteLength: length }, kernels).checksum);
  }
  closeSync(fd);
  return sums;
}

/** The record of part `no` that says so. */
function noted(output: string, about: unknown, entries: readonly unknown[], no = 1, count = 1): void {
  leaveRecord(output, { kind: "files", fingerprint: "f", no, count, about }, { entries });
}

/** Two files, each written by a part of two. */
function two(output: string, { byteLengths = [3, 5] } = {}) {
  const paths = ["a", "b"].map((letter) => `${output}-${letter}`);
  for (const [i, path] of paths.entries()) {
    writeFileSync(path, Buffer.alloc(Math.min(8, byteLengths[i]!), i + 1));
    truncateSync(path, byteLengths[i]!);
  }
  const files = paths.map((path, i) => ({ name: basename(path), byteLength: byteLengths[i]! }));
  const about = { recipe: "of mine", elements: 77, files };
  for (const [file, path] of paths.entries())
    noted(output, about, [{ file, checksums: checksumsOf(path, byteLengths[file]!) }], file + 1, 2);
  return { about, paths };
}

describe("files that parts have written", () => {
  test("are checked byte for byte, and told of", async () => {
    const output = next();
    const { paths } = two(output);
    const seen: number[][] = [];
    const finished = await finish(output, { onProgress: (...each: number[]) => seen.push(each) });
    expect(seen).toEqual([
      [3, 8],
      [8, 8],
    ]);
    expect(finished).toEqual({
      ...{ output, recipe: "of mine", elements: 77, parts: 2, seconds: expect.any(Number) },
      files: [
        { output: paths[0], byteLength: 3 },
        { output: paths[1], byteLength: 5 },
      ],
    });
    expect([1, 2].some((no) => existsSync(recordPath(output, { no, count: 2 })))).toBe(false);
  });

  test("have a checksum of every 2^24 bytes, and of what is over", async () => {
    const output = next();
    const byteLengths = [2 ** 24 + 1, 2 ** 24];
    two(output, { byteLengths });
    const seen: number[][] = [];
    await finish(output, { onProgress: (...each: number[]) => seen.push(each) });
    expect(seen.map(([done]) => done)).toEqual([2 ** 24, 2 ** 24 + 1, 2 ** 25 + 1]);
    expect(new Set(seen.map(([, total]) => total))).toEqual(new Set([2 ** 25 + 1]));
  });

  const another = {
    code: "bad-input",
    message: /-b: is not the file that part 2\/2 has/,
    hint: "bring it here once more",
  };
  const absent = {
    ...{ code: "usage", message: /-b: is not here$/ },
    hint: "part 2/2 has written it: bring it into this folder",
  };
  test.each<[what: string, change: (path: string) => void, refusal: { message: RegExp }]>([
    ["another byte", (path) => writeFileSync(path, Buffer.of(2, 2, 2, 2, 3)), another],
    ["a byte less", (path) => truncateSync(path, 4), another],
    ["a byte more", (path) => truncateSync(path, 6), another],
    ["nothing in it", (path) => truncateSync(path, 0), another],
    ["no place here", (path) => rmSync(path), absent],
  ])("of which one has %s: it is named, and whose it is", async (_, change, { message, ...refusal }) => {
    const output = next();
    const { paths } = two(output);
    change(paths[1]!);
    await expect(finish(output)).rejects.toMatchObject({
      ...refusal,
      message: expect.stringMatching(message),
    });
    expect(existsSync(recordPath(output, { no: 2, count: 2 }))).toBe(true);
    writeFileSync(paths[1]!, Buffer.alloc(5, 2));
    await finish(output);
  });

  test.each<[what: string, entry: unknown]>([
    ["a number", 7],
    ["a header", { header: 1 }],
    ["a file behind the last", { file: 2, checksums: [] }],
    ["half a file", { file: 0.5, checksums: [] }],
    ["no checksums", { file: 1 }],
    ["checksums that are none", { file: 1, checksums: ["1"] }],
    ["half a checksum", { file: 1, checksums: [0.5] }],
  ])("whose record has %s is damaged, and it is said whose", async (_, entry) => {
    const output = next();
    const { about } = two(output);
    noted(output, about, [entry], 2, 2);
    await expect(finish(output)).rejects.toMatchObject({
      code: "bad-input",
      message: `${recordPath(output, { no: 2, count: 2 })}: is damaged`,
      hint: "run part 2/2 again",
    });
  });

  test("of which no part has written one: it is named", async () => {
    const output = next();
    const { about, paths } = two(output);
    noted(output, about, [], 2, 2);
    await expect(finish(output)).rejects.toMatchObject({
      code: "bad-input",
      message: `${recordPath(output, { no: 1, count: 2 })}: no part has written ${basename(paths[1]!)}`,
    });
  });

  test.each(["", "..", "../x", "a/b", "/x", "a/", "./a"])(
    "called '%s' are not looked for: a file stands beside its record",
    async (name) => {
      const output = next();
      noted(output, { recipe: "", elements: 0, files: [{ name, byteLength: 1 }] }, []);
      await expect(finish(output)).rejects.toMatchObject({
        code: "bad-input",
        message: `${recordPath(output, { no: 1, count: 1 })}: ${name} is no name of a file beside it`,
      });
    },
  );

  test.each<[what: string, about: unknown]>([
    ["nothing", null],
    ["no files", { recipe: "", elements: 0 }],
    ["no recipe", { elements: 0, files: [] }],
    ["half a weight", { recipe: "", elements: 0.5, files: [] }],
    ["a file without length", { recipe: "", elements: 0, files: [{ name: "a" }] }],
    ["a length below none", { recipe: "", elements: 0, files: [{ name: "a", byteLength: -1 }] }],
  ])("of which %s is said are none", async (_, about) => {
    const output = next();
    noted(output, about, []);
    await expect(finish(output)).rejects.toMatchObject({
      code: "bad-input",
      message: `${recordPath(output, { no: 1, count: 1 })}: says nothing of files`,
    });
  });
});

describe("a part that writes whole files", () => {
  const planned = (output: string) =>
    splitBySize(planQuantize(openModel(TINY_LLAMA), findRecipe("Q4_K_M")), output, 400_000);
  const part = (output: string, no: number, count: number) =>
    executeFiles(planned(output), output, { no, count }, { threads: 0 });

  test("does those that are not there, and counts the others as done before", async () => {
    const output = next();
    const files = planned(output);
    const weights = files.map(({ plan }) => planElements(plan));
    const all = weights.reduce((sum, each) => sum + each, 0);
    expect(await part(output, 1, 1)).toMatchObject({ elements: all, resumed: 0 });
    const [first] = files;
    const bytes = readFileSync(first!.output);
    rmSync(first!.output);
    expect(await part(output, 1, 1)).toMatchObject({ elements: all, resumed: all - weights[0]! });
    expect(readFileSync(first!.output).equals(bytes)).toBe(true);
    const { about, ...record } = readRecord(recordPath(output, { no: 1, count: 1 }));
    expect(about).toEqual({
      ...{ recipe: "Q4_K_M", elements: all },
      files: files.map(({ output: path, plan }) => ({ name: basename(path), byteLength: plan.byteLength })),
    });
    expect([...readEntries({ ...record, about })]).toEqual(
      files.map(({ output: path, plan }, file) => ({ file, checksums: checksumsOf(path, plan.byteLength) })),
    );
  });

  test.each<[what: string, change: (bytes: Buffer) => Buffer]>([
    ["of another length", (bytes) => bytes.subarray(1)],
    ["with another header", (bytes) => bytes.fill(bytes[30]! ^ 1, 30, 31)],
  ])("takes no file %s for its own, and does not replace it", async (_, change) => {
    const output = next();
    await part(output, 1, 1);
    const { output: path } = planned(output)[1]!;
    const other = change(readFileSync(path));
    writeFileSync(path, other);
    await expect(part(output, 1, 1)).rejects.toMatchObject({
      code: "usage",
      message: `${path}: exists already`,
    });
    expect(readFileSync(path).equals(other)).toBe(true);
  });
});
