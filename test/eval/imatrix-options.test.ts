import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openImatrixSums } from "../../formats/imatrix/imatrix.js";
import { datFile } from "../../formats/imatrix/imatrix-dat.js";
import { computeImatrix } from "../../src/eval/imatrix/imatrix.js";
import { openModel } from "../../src/model.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const FAMILIES = new URL("../golden/families/", import.meta.url).pathname;
const GOLDEN = new URL("../golden/imatrix/", import.meta.url).pathname;
const folder = scratchFolder();

/** What llama-imatrix makes of these options (test/golden/make/imatrix.py). */
const golden = JSON.parse(readFileSync(join(GOLDEN, "options.json"), "utf8")) as {
  "special.txt": { names: string[]; entries: Record<string, { sums: number[]; counts: number[] }> };
  dat: Record<string, string>;
  statistics: Record<string, { matrices: string[][]; layers: string[][] }>;
};

function llq(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    cwd: folder,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

const largest = (found: ArrayLike<number>, expected: readonly number[]) =>
  expected.reduce((most, sum, i) => Math.max(most, Math.abs(found[i]! - sum) / Math.max(sum, 1e-6)), 0);

describe("as llama-imatrix with the same options", () => {
  test("--process-output, --parse-special, --from-chunk", () => {
    const options = ["--process-output", "--parse-special", "--from-chunk", "3", "-c", "64", "--chunks", "3"];
    const text = join(GOLDEN, "special.txt");
    expect(llq("imatrix", TINY_LLAMA, text, "-o", "all.gguf", ...options)).toMatchObject({ status: 0 });
    const { entries } = openImatrixSums(join(folder, "all.gguf"));
    const { names, entries: expected } = golden["special.txt"];
    expect([...entries.keys()].sort()).toEqual(names);
    for (const [name, { sums, counts }] of Object.entries(expected)) {
      expect(Array.from(entries.get(name)!.counts)).toEqual(counts);
      expect(largest(entries.get(name)!.sums, sums)).toBeLessThan(1e-5);
    }
    // Each of the three changes the sums.
    for (const left of [options.slice(1), options.toSpliced(1, 1), options.toSpliced(2, 2)]) {
      expect(llq("imatrix", TINY_LLAMA, text, "-o", "some.gguf", "-f", ...left)).toMatchObject({ status: 0 });
      const some = openImatrixSums(join(folder, "some.gguf")).entries.get("output.weight");
      expect(some === undefined || largest(some.sums, expected["output.weight"]!.sums) > 1e-3).toBe(true);
    }
  });

  test("of experts, some of which see no token, the output is collected too", () => {
    const expected = openImatrixSums(join(GOLDEN, "moe.gguf"));
    const args = ["-c", "16", "--chunks", "1", "--process-output"];
    const model = join(FAMILIES, "qwen3-moe");
    const written = llq("imatrix", model, join(FAMILIES, "text.txt"), "-o", "moe.gguf", ...args);
    expect(written).toMatchObject({ status: 0 });
    const { entries } = openImatrixSums(join(folder, "moe.gguf"));
    expect([...entries.keys()].sort()).toEqual([...expected.entries.keys()].sort());
    const differences: number[] = [];
    for (const [name, { sums, counts }] of expected.entries) {
      expect(Array.from(entries.get(name)!.counts)).toEqual(Array.from(counts));
      differences.push(
        ...Array.from(sums, (sum, i) => Math.abs(entries.get(name)!.sums[i]! - sum) / (sum || 1)),
      );
    }
    // Some experts see one token, so no other averages its roundings out.
    expect(differences.sort((a, b) => a - b)[differences.length >> 1]).toBeLessThan(1e-6);
    const [first, unseen] = [expected, { entries }].map(
      (each) => each.entries.get("blk.1.ffn_down_exps.weight")!,
    );
    const at = Array.from(first!.counts).indexOf(0);
    const columns = unseen!.sums.length / first!.counts.length;
    expect(new Set(unseen!.sums.subarray(at * columns, (at + 1) * columns))).toEqual(new Set([0]));
  });

  test.each(Object.entries(golden.dat))("%s as .dat has the same bytes", (name, sha256) => {
    const out = name.replace("gguf", "dat");
    expect(llq("imatrix", "--in", join(GOLDEN, name), "-o", out)).toMatchObject({ status: 0 });
    const bytes = readFileSync(join(folder, out));
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha256);
    const forced = ["--output-format", "dat", "-o", `${out}.imatrix`];
    expect(llq("imatrix", "--in", join(GOLDEN, name), ...forced)).toMatchObject({ status: 0 });
    expect(readFileSync(join(folder, `${out}.imatrix`))).toEqual(bytes);
  });

  test.each(Object.entries(golden.statistics))("the statistics of %s, digit for digit", (name, expected) => {
    const { status, stdout } = llq("imatrix", "--in", join(GOLDEN, name), "--show-statistics");
    expect(status).toBe(0);
    const rows = stdout
      .replaceAll(" %", "%")
      .split("\n")
      .filter((line) => /^ *(\d|-)/.test(line))
      .map((line) => line.trim().split(/ {2,}/));
    // Rows that tie may stand in either order there.
    expect(rows.filter((row) => row.length === 13).sort()).toEqual(expected.matrices.sort());
    expect(rows.filter((row) => row.length === 4)).toEqual(expected.layers);
    expect(rows.length).toBe(expected.matrices.length + expected.layers.length);
  });
});

test("the output of a tied model is left out, and that is said", async () => {
  const model = join(FAMILIES, "qwen2-tied");
  const text = join(FAMILIES, "text.txt");
  const args = ["-c", "16", "--chunks", "2", "--process-output"];
  const { status, stderr } = llq("imatrix", model, text, "-o", "tied.gguf", ...args);
  expect(status).toBe(0);
  expect(stderr).toMatch(/the output is the embedding/);
  const { entries } = openImatrixSums(join(folder, "tied.gguf"));
  expect([...entries.keys()].filter((name) => !name.startsWith("blk."))).toEqual([]);
});

test("the sums of the output are the same for every number of threads and any memory", async () => {
  const model = openModel(TINY_LLAMA);
  const tokens = Int32Array.from({ length: 64 * 5 }, (_, i) => (i * 37) % 1000);
  const run = (options: object) =>
    computeImatrix(model, tokens, { context: 64, bos: 1, output: true, ...options });
  const { entries } = await run({ threads: 0 });
  for (const options of [{ threads: 1 }, { threads: 3 }, { threads: 2, maxMemory: 1 }]) {
    const other = await run(options);
    expect(other.entries.get("output.weight")!.sums).toEqual(entries.get("output.weight")!.sums);
  }
});

describe("a run that makes no sense is refused", () => {
  test.each<[string, string[], number, RegExp]>([
    [
      "no chunks left",
      [TINY_LLAMA, "TEXT", "-o", "x.gguf", "-c", "64", "--from-chunk", "9999"],
      3,
      /--from-chunk \d+ is the last/,
    ],
    ["no output", [TINY_LLAMA, "TEXT"], 2, /-o/],
    [
      "statistics of two files",
      ["--in", "a", "--in", "b", "--show-statistics"],
      2,
      /--in <file> --show-statistics/,
    ],
    ["statistics of none", ["--show-statistics"], 2, /--in <file> --show-statistics/],
    [
      "statistics of what is none",
      ["--in", join(FAMILIES, "text.txt"), "--show-statistics"],
      3,
      /importance matrix/,
    ],
  ])("%s", (_, args, status, message) => {
    const run = llq("imatrix", ...args.map((arg) => arg.replace("TEXT", join(GOLDEN, "special.txt"))));
    expect(run).toMatchObject({ status, stderr: expect.stringMatching(message) });
  });
});

test("an entry that no token reached is left out of a .dat, and a name without a dataset is empty", () => {
  const entries = new Map([
    ["seen", { sums: Float64Array.of(4, 8), counts: [3] }],
    ["unseen", { sums: Float64Array.of(0), counts: [0] }],
  ]);
  const bytes = datFile({ entries, datasets: [], chunks: 1, chunkSize: 2 });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  expect(view.getInt32(0, true)).toBe(1);
  // name's length, name, two calls (three tokens in chunks of two), two values, chunks, no dataset
  expect(bytes.length).toBe(4 + 4 + 4 + 4 + 4 + 8 + 4 + 4);
  expect(view.getInt32(12, true)).toBe(2);
  expect(view.getFloat32(20, true)).toBe(Math.fround(Math.fround(4 / 3) * 2));
});
