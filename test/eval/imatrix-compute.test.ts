import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LlqError } from "../../formats/errors.js";
import { type ImatrixSums, openImatrixSums } from "../../formats/imatrix/imatrix.js";
import { mergeImatrices } from "../../formats/imatrix/imatrix-merge.js";
import { imatrixFile } from "../../formats/imatrix/imatrix-write.js";
import { openContainer } from "../../formats/open.js";
import { type ComputedImatrix, computeImatrix, type ImatrixOptions } from "../../src/eval/imatrix/imatrix.js";
import {
  type ImatrixSource,
  type WriteImatrixOptions,
  writeImatrix,
} from "../../src/eval/imatrix/imatrix-file.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { openModel } from "../../src/model.js";
import { Squares } from "../../src/net/squares.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { refusal } from "../support/build/build.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();
const golden = (path: string) => new URL(`../golden/${path}`, import.meta.url).pathname;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const model = openModel(TINY_LLAMA);
const text = new URL("../../samples/text.txt", import.meta.url).pathname;
const tokens = createTokenizer(model.vocab).encode(readFileSync(text, "utf8"));
const context = 64;

function compute(options: ImatrixOptions): Promise<ComputedImatrix> {
  return computeImatrix(model, tokens, { context, bos: 1, dataset: "text.txt", ...options });
}

describe("llama-imatrix on samples/tiny-llama and samples/text.txt", () => {
  const expected = openImatrixSums(golden("imatrix/tiny-llama.gguf"));

  test("the sums are the same, to the rounding of its f32 additions", async () => {
    const { entries, ...rest } = await compute({ context: 256, chunks: 4 });
    expect(rest).toMatchObject({ datasets: expected.datasets, chunks: 4, chunkSize: 256 });
    expect([...entries.keys()].sort()).toEqual([...expected.entries.keys()]);
    for (const [name, { sums, counts }] of expected.entries) {
      const entry = entries.get(name)!;
      expect(Array.from(entry.counts)).toEqual(Array.from(counts));
      const differences = Array.from(sums, (sum, i) => Math.abs(entry.sums[i]! / sum - 1));
      expect(Math.max(...differences)).toBeLessThan(1e-5);
    }
  });

  test("quantized weights meet int8 activations, as there; f32 ones give other sums", async () => {
    const path = join(folder, "q4_0.gguf");
    await execute(planQuantize(model, findRecipe("Q4_0")), path, { threads: 0 });
    const ofQ4 = openImatrixSums(golden("imatrix/tiny-llama-q4_0.gguf"));
    const median = async (options: ImatrixOptions) => {
      const all = { context: 256, chunks: 4, bos: 1, ...options };
      const { entries } = await computeImatrix(openModel(path), tokens, all);
      expect([...entries.keys()].sort()).toEqual([...ofQ4.entries.keys()]);
      const differences = [...ofQ4.entries].flatMap(([name, { sums }]) =>
        Array.from(sums, (sum, i) => Math.abs(entries.get(name)!.sums[i]! / sum - 1)),
      );
      return differences.sort((a, b) => a - b)[differences.length >> 1];
    };
    // Rounding to int8 makes much of little, column by column.
    expect(await median({})).toBeLessThan(5e-5);
    expect(await median({ activations: "f32" })).toBeGreaterThan(5e-4);
  });

  test.each(["imatrix/tiny-llama.gguf", "quantize/tiny-llama.imatrix.gguf"])(
    "%s, read and written, has the same bytes",
    (name) => {
      const written = imatrixFile(openImatrixSums(golden(name)));
      expect(Buffer.compare(written, readFileSync(golden(name)))).toBe(0);
    },
  );

  test("files are added as it adds them, GGUF and .dat", () => {
    const sum = JSON.parse(readFileSync(golden("imatrix/sum.json"), "utf8")) as Record<string, never>;
    const parts = (sum["files"]! as string[]).map((name) => ({
      name,
      imatrix: openImatrixSums(golden(`quantize/${name}`)),
    }));
    expect(sha256(imatrixFile(mergeImatrices(parts, 256)))).toBe(sum["sha256"]);
  });
});

describe("the sums", () => {
  test("are the same, to the bit, for every number of threads and any memory", async () => {
    const run = async (options: ImatrixOptions) => imatrixFile(await compute({ chunks: 9, ...options }));
    const expected = sha256(await run({ threads: 0 }));
    for (const threads of [1, 2, 4]) expect(sha256(await run({ threads }))).toBe(expected);
    for (const maxMemory of [1, 8 << 20]) {
      expect(sha256(await run({ threads: 2, maxMemory }))).toBe(expected);
    }
  });

  test("are of each chunk, however the tokens come", () => {
    const [chunks, context, columns] = [3, 5, 6];
    const x = Float32Array.from({ length: chunks * context * columns }, (_, i) => Math.sin(i));
    const expected = new Float64Array(chunks * columns);
    for (const [i, value] of x.entries()) {
      const chunk = Math.floor(i / (context * columns));
      expected[chunk * columns + (i % columns)]! += value ** 2;
    }
    const kernels = new Kernels();
    const address = kernels.reserve(x.byteLength);
    kernels.floats(address, x.length).set(x);
    for (const piece of [1, 4, 5, 7, 15]) {
      const span = { hidden: new SharedArrayBuffer(0), first: 0, chunks, context, width: 0 };
      const squares = new Squares(kernels, span);
      for (let token = 0; token < chunks * context; token += piece) {
        const count = Math.min(piece, chunks * context - token);
        squares.add("ffn_down", address + token * columns * 4, count, columns);
      }
      expect(squares.result.get("ffn_down")).toEqual(expected);
    }
  });

  test("that are no numbers are refused by name", async () => {
    const damaged = model.tensors.map((tensor) =>
      tensor.name === "blk.2.ffn_norm.weight"
        ? { ...tensor, sources: [], dtype: "F32" as const, values: tensor.shape.map(() => Number.NaN) }
        : tensor,
    );
    const run = computeImatrix({ ...model, tensors: damaged }, tokens, { context, chunks: 2, threads: 0 });
    await expect(run).rejects.toThrow(/chunks 1 to 1: what goes into blk\.2\.ffn_gate\.weight is not finite/);
  });
});

describe("experts", () => {
  const moe = (sums: number[], counts: number[]): ImatrixSums => ({
    entries: new Map([["e", { sums: Float64Array.from(sums), counts }]]),
    datasets: [],
    chunks: 1,
    chunkSize: 2,
  });
  const merge = (...imatrices: ImatrixSums[]) =>
    mergeImatrices(
      imatrices.map((imatrix, i) => ({ name: `file ${i}`, imatrix })),
      2,
    );

  test("have a row of sums and a count each, as in llama-imatrix", () => {
    const path = join(folder, "moe.gguf");
    writeFileSync(path, imatrixFile(moe([1, 2, 3, 4, 5, 6], [7, 0, 9])));
    const { tensors } = openContainer(path);
    expect(tensors.get("e.in_sum2")!.shape).toEqual([3, 2]);
    expect(tensors.get("e.counts")!.shape).toEqual([3, 1]);
  });

  test("are added one by one; one count stands for all", () => {
    const sum = merge(moe([1, 2, 3, 4], [5, 6]), { ...moe([8, 8, 8, 8], [2]), chunkSize: undefined });
    expect(sum.entries.get("e")).toEqual({
      sums: Float64Array.of(17, 18, 19, 20),
      counts: Float64Array.of(9, 10),
    });
    expect(sum.chunks).toBe(5);
    expect(merge(moe([1, 2], [3]), moe([1, 2], [4, 5])).entries.get("e")!.counts).toEqual(
      Float64Array.of(7, 8),
    );
  });

  test.each<[string, ImatrixSums, RegExp]>([
    ["columns", moe([1, 2], [1, 1]), /^bad-input: file 1: entry e has 2 sums, in the files before 6/],
    ["counts", moe([1, 2, 3, 4, 5, 6], [1, 1]), /^bad-input: file 1: entry e has 2 counts, .* 3/],
  ])("that do not fit are refused: %s", (_, other, message) => {
    expect(refusal(() => merge(moe([1, 2, 3, 4, 5, 6], [1, 1, 1]), other))).toMatch(message);
  });
});

describe("a stopped run", () => {
  const chunks = 12;
  const source = { model, text, tokens };
  const options = { context, bos: 1, chunks };
  const whole = join(folder, "whole.gguf");
  const leftovers = (output: string) =>
    readdirSync(folder).filter((name) => join(folder, name).startsWith(`${output}.`));

  async function expected(): Promise<string> {
    if (!existsSync(whole)) await writeImatrix(whole, source, { ...options, threads: 0 });
    return sha256(readFileSync(whole));
  }

  /** Runs until about `share` of the work is done, then stops as Ctrl-C does. */
  async function runUntil(share: number, output: string, threads: number): Promise<void> {
    const controller = new AbortController();
    const onProgress = ({ done, total }: { done: number; total: number }) => {
      if (done >= share * total) controller.abort(new LlqError("interrupted", "stopped"));
    };
    const work = writeImatrix(output, source, { ...options, threads, onProgress, signal: controller.signal });
    await expect(work).rejects.toMatchObject({ code: "interrupted" });
  }

  test.each([
    [0.01, 2],
    [0.3, 1],
    [0.6, 0],
    [0.9, 4],
    [1, 2],
  ])("after %d of the work with %d threads, resumed, gives the same file", async (share, threads) => {
    const output = join(folder, `stopped-${share}.gguf`);
    await runUntil(share, output, threads);
    expect(existsSync(output)).toBe(false);
    const { computed } = await writeImatrix(output, source, { ...options, threads: 2, resume: true });
    expect(computed!.resumed).toBeGreaterThanOrEqual(share > 0.5 ? 1 : 0);
    expect(sha256(readFileSync(output))).toBe(await expected());
    expect(leftovers(output)).toEqual([]);
  });

  test("starts over when the checkpoint was cut", async () => {
    const output = join(folder, "cut.gguf");
    await runUntil(0.5, output, 0);
    const checkpoint = readFileSync(`${output}.partial.journal`);
    for (const length of [0, 100, checkpoint.length - 1]) {
      writeFileSync(`${output}.partial.journal`, checkpoint.subarray(0, length));
      const resume = { ...options, threads: 2, resume: true, force: true };
      const { computed } = await writeImatrix(output, source, resume);
      expect(computed!.resumed).toBe(0);
      expect(sha256(readFileSync(output))).toBe(await expected());
    }
  });

  test("is not gone on with by other work, nor lost", async () => {
    const output = join(folder, "other.gguf");
    await runUntil(0.5, output, 0);
    const others: [ImatrixSource, WriteImatrixOptions][] = [
      [source, { ...options, chunks: 11 }],
      [source, { ...options, activations: "f32" }],
      [{ ...source, tokens: tokens.toReversed() }, options],
      [{ ...source, model: openModel(copyTinyLlama(folder, "other-model")) }, options],
    ];
    for (const [from, more] of others) {
      const other = writeImatrix(output, from, { ...more, threads: 0, resume: true });
      await expect(other).rejects.toThrow(/was left by other options/);
    }
    const { computed } = await writeImatrix(output, source, { ...options, threads: 0, resume: true });
    expect(computed!.resumed).toBeGreaterThan(0);
  });

  test("killed as soon as it has a checkpoint", async () => {
    const output = join(folder, "killed.gguf");
    const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;
    const args = [cli, "imatrix", TINY_LLAMA, text, "-o", output, "-c", "256", "--chunks", "20"];
    const child = spawn(process.execPath, [...args, "-j", "1"], { stdio: "ignore" });
    const gone = new Promise((resolve) => child.on("exit", resolve));
    while (!existsSync(`${output}.partial.journal`) && child.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    child.kill("SIGKILL");
    await gone;
    expect(existsSync(output)).toBe(false);
    const { stdout } = spawnSync(process.execPath, [...args, "--resume"], { encoding: "utf8" });
    expect(stdout).toMatch(/^\d+ chunks were done already$/m);
    const whole = await compute({ context: 256, chunks: 20, dataset: text });
    expect(sha256(readFileSync(output))).toBe(sha256(imatrixFile(whole)));
    expect(leftovers(output)).toEqual([]);
  });
});

describe("writing", () => {
  const whole = join(folder, "both.gguf");

  test("adds what is computed to what is merged", async () => {
    const merge = [golden("imatrix/tiny-llama.gguf")];
    const source = { model, text, tokens };
    const written = await writeImatrix(whole, source, { context, bos: 1, chunks: 8, merge, threads: 1 });
    expect(written).toMatchObject({ chunks: 24, datasets: ["text.txt", text], entries: 28 });
    const { entries } = openImatrixSums(whole);
    const [first, more] = [openImatrixSums(merge[0]!), await compute({ chunks: 8 })];
    const sums = (imatrix: ImatrixSums) => imatrix.entries.get("blk.3.ffn_down.weight")!.sums;
    const expected = sums(first).map((sum, i) => sum + sums(more)[i]!);
    expect(Array.from(entries.get("blk.3.ffn_down.weight")!.sums)).toEqual(Array.from(expected, Math.fround));
  });

  test("takes the size of chunks from what is merged", async () => {
    const output = join(folder, "copy.gguf");
    await writeImatrix(output, undefined, { merge: [golden("imatrix/tiny-llama.gguf")] });
    expect(sha256(readFileSync(output))).toBe(sha256(readFileSync(golden("imatrix/tiny-llama.gguf"))));
  });

  test("refuses an output that is an input", async () => {
    const merge = [join(folder, "input.gguf")];
    writeFileSync(merge[0]!, readFileSync(golden("imatrix/tiny-llama.gguf")));
    await expect(writeImatrix(merge[0]!, undefined, { merge, force: true })).rejects.toThrow(
      /is an input too/,
    );
  });

  test("refuses a matrix of another model before any work", async () => {
    const other = join(folder, "other-model.gguf");
    const entry = { sums: new Float64Array(128), counts: [512] };
    const entries = new Map([["blk.0.attn_q.weight", entry]]);
    writeFileSync(other, imatrixFile({ entries, datasets: [], chunks: 1, chunkSize: 512 }));
    const onProgress = () => expect.unreachable();
    const run = writeImatrix(
      join(folder, "refused.gguf"),
      { model, text, tokens },
      { merge: [other], onProgress },
    );
    await expect(run).rejects.toThrow(/entry blk\.0\.attn_q\.weight has 256 sums, in the files before 128/);
  });
});
