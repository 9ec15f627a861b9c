import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { LlqError } from "../../formats/errors.js";
import { type Imatrix, openImatrix } from "../../formats/imatrix/imatrix.js";
import { openModel } from "../../src/model.js";
import { type Plan, planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { splitBySize } from "../../src/quant/split.js";
import { execute, executeParts } from "../../src/run/write/execute.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// What a stopped run has left is gone on with by the same work alone. A file of two halves that do not belong together
// looks like any other.

const version = vi.hoisted(() => ({ VERSION: "1.0.0" }));
vi.mock("../../src/version.js", () => ({
  get VERSION() {
    return version.VERSION;
  },
}));

const folder = scratchFolder();
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const q8 = (path: string) => planQuantize(openModel(path), findRecipe("Q8_0"));
const refused = { code: "usage", message: expect.stringMatching(/was left by other options/) };

/** Stops in the middle, as Ctrl-C does. */
async function half(plan: Plan, output: string): Promise<void> {
  const controller = new AbortController();
  const onProgress = (done: number, total: number) => {
    if (done >= total / 2) controller.abort(new LlqError("interrupted", "stopped"));
  };
  const work = execute(plan, output, { threads: 0, onProgress, signal: controller.signal });
  await expect(work).rejects.toMatchObject({ code: "interrupted" });
}

test("not where the source has other bytes by now, as many as before", async () => {
  const model = copyTinyLlama(folder, "source");
  const weights = join(model, "model.safetensors");
  const output = join(folder, "source.gguf");
  const before = q8(model);
  await half(before, output);
  const bytes = readFileSync(weights);
  const { atime, mtimeMs } = statSync(weights);
  // The sign of every weight: a training that went on.
  for (let at = bytes.length - 200_001; at < bytes.length; at += 2) bytes[at]! ^= 0x80;
  writeFileSync(weights, bytes);
  utimesSync(weights, atime, new Date(mtimeMs + 2000));
  const after = q8(model);
  expect(after.header).toEqual(before.header);
  await expect(execute(after, output, { threads: 0, resume: true })).rejects.toMatchObject(refused);
  expect(existsSync(output)).toBe(false);
});

test("not with another source of the same name, shapes and size", async () => {
  const [one, two] = [copyTinyLlama(folder, "a/model"), copyTinyLlama(folder, "b/model")];
  const output = join(folder, "two.gguf");
  await half(q8(one), output);
  await expect(execute(q8(two), output, { threads: 0, resume: true })).rejects.toMatchObject(refused);
});

test("not with another importance matrix", async () => {
  const path = new URL("../golden/quantize/tiny-llama.imatrix.gguf", import.meta.url).pathname;
  const imatrix = openImatrix(path);
  const other: Imatrix = {
    ...imatrix,
    entries: new Map([...imatrix.entries].map(([name, values]) => [name, values.toReversed()])),
  };
  const plan = (guide: Imatrix) =>
    planQuantize(openModel(TINY_LLAMA), findRecipe("Q4_0"), { imatrix: guide });
  const [output, whole] = [join(folder, "guided.gguf"), join(folder, "whole.gguf")];
  await half(plan(imatrix), output);
  expect(plan(other).header).toEqual(plan(imatrix).header);
  const work = execute(plan(other), output, { threads: 0, resume: true });
  await expect(work).rejects.toMatchObject(refused);
  await execute(plan(imatrix), output, { threads: 0, resume: true });
  await execute(plan(imatrix), whole, { threads: 0 });
  expect(sha256(output)).toBe(sha256(whole));
});

test("not by another version of llq", async () => {
  const output = join(folder, "version.gguf");
  const plan = q8(TINY_LLAMA);
  await half(plan, output);
  version.VERSION = "1.0.1";
  await expect(execute(plan, output, { threads: 0, resume: true })).rejects.toMatchObject(refused);
  version.VERSION = "1.0.0";
  expect((await execute(plan, output, { threads: 0, resume: true })).resumed).toBeGreaterThan(0);
});

test("not in a split of as many parts that are cut elsewhere", async () => {
  const output = join(folder, "split.gguf");
  const plan = planQuantize(openModel(TINY_LLAMA), findRecipe("Q4_0"));
  const [one, other] = [900_000, 1_000_000].map((limit) => splitBySize(plan, output, limit));
  expect(other!.map((part) => part.output)).toEqual(one!.map((part) => part.output));
  const counts = [one!, other!].map((parts) => parts.map((part) => part.plan.tensors.length));
  expect(counts[0]).not.toEqual(counts[1]);
  const controller = new AbortController();
  const onProgress = (done: number, total: number) => {
    if (done >= 0.9 * total) controller.abort(new LlqError("interrupted", "stopped"));
  };
  const stopped = executeParts(one!, { threads: 0, onProgress, signal: controller.signal });
  await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
  const work = executeParts(other!, { threads: 0, resume: true });
  await expect(work).rejects.toMatchObject(refused);
  const summaries = await executeParts(one!, { threads: 0, resume: true });
  expect(summaries[0]!.resumed).toBe(counts[0]![0]);
});
