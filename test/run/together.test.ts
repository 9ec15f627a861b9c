import { createHash } from "node:crypto";
import { existsSync, fstatSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { LlqError } from "../../formats/errors.js";
import type { Imatrix } from "../../formats/imatrix/imatrix.js";
import { openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { splitBySize } from "../../src/quant/split.js";
import { execute, executeTogether } from "../../src/run/write/execute.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// Several outputs of one read. Each is compared with that of a run of its own.

const WEIGHTS = join(TINY_LLAMA, "model.safetensors");
const source = vi.hoisted(() => ({ inode: 0, bytes: 0 }));

/** Counts what is read of the weights. */
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const readSync = (fd: number, ...rest: unknown[]) => {
    const read = (fs.readSync as (...args: unknown[]) => number)(fd, ...rest);
    if (fstatSync(fd).ino === source.inode) source.bytes += read;
    return read;
  };
  return { ...fs, readSync };
});

const folder = scratchFolder();
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const TYPES = ["BF16", "Q4_K_M", "Q6_K", "Q8_0", "F16"];

function modelsOf(name: string, imatrix?: Imatrix, types = TYPES) {
  const model = openModel(TINY_LLAMA);
  return types.map((type) => {
    const plan = planQuantize(model, findRecipe(type), { imatrix });
    return [{ plan, output: join(folder, `${name}-${type}.gguf`) }];
  });
}

/** Bytes of the weights that `work` reads. */
async function bytesRead(work: () => Promise<unknown>): Promise<number> {
  source.inode = statSync(WEIGHTS).ino;
  source.bytes = 0;
  await work();
  source.inode = 0;
  return source.bytes;
}

async function aloneOf(models: ReturnType<typeof modelsOf>) {
  const alone = [];
  for (const [{ plan, output }] of models as never as [ReturnType<typeof modelsOf>[0][0]][]) {
    const path = output.replace(/\.gguf$/, ".alone.gguf");
    const summary = await execute(plan, path, { threads: 0, force: true });
    alone.push({ sha: sha256(path), tensors: summary.tensors });
  }
  return alone;
}

test.each([0, 2])(
  "the bytes and the errors are those of runs of their own, with %i threads",
  async (threads) => {
    const models = modelsOf(`threads${threads}`);
    const seen: number[] = [];
    const onProgress = (done: number, total: number) => seen.push(done / total);
    const summaries = await executeTogether(models, { threads, onProgress });
    expect(seen.at(-1)).toBe(1);
    const alone = await aloneOf(models);
    expect(
      summaries.map(([summary]) => ({ sha: sha256(summary!.output), tensors: summary!.tensors })),
    ).toEqual(alone);
  },
);

test("the weights are read once, however many outputs there are", async () => {
  const [[one], many] = [modelsOf("one", undefined, ["Q8_0"]), modelsOf("many")];
  const once = await bytesRead(() => executeTogether([one!], { threads: 0 }));
  expect(once / statSync(WEIGHTS).size).toBeCloseTo(1, 2);
  expect(await bytesRead(() => executeTogether(many, { threads: 0 }))).toBe(once);
});

test("with an importance matrix, too", async () => {
  const model = openModel(TINY_LLAMA);
  const { tensors } = planQuantize(model, findRecipe("Q4_K_M"));
  const entries = new Map<string, Float32Array>();
  for (const { tensor } of tensors) {
    const columns = tensor.shape.at(-1)!;
    entries.set(
      tensor.name,
      Float32Array.from({ length: columns }, (_, i) => 1 + ((i * 7919) % 31)),
    );
  }
  const imatrix: Imatrix = { file: "im.gguf", entries, datasets: [], chunks: 1 };
  const models = modelsOf("guided", imatrix, ["Q4_K_M", "Q5_K_M", "Q3_K_S"]);
  const summaries = await executeTogether(models, { threads: 2 });
  const alone = await aloneOf(models);
  expect(summaries.map(([summary]) => sha256(summary!.output))).toEqual(alone.map(({ sha }) => sha));
  const [plain] = modelsOf("plain", undefined, ["Q4_K_M"]);
  const unguided = await aloneOf([plain!]);
  expect(unguided[0]!.tensors).not.toEqual(alone[0]!.tensors);
});

test("each in parts of its own", async () => {
  const cut = (name: string) =>
    modelsOf(name, undefined, ["Q4_K_M", "Q8_0"]).map(([part]) =>
      splitBySize(part!.plan, part!.output, 500_000),
    );
  const models = cut("parts");
  expect(new Set(models.map(({ length }) => length)).size).toBe(2);
  const summaries = await executeTogether(models, { threads: 2 });
  expect(summaries.map(({ length }) => length)).toEqual(models.map(({ length }) => length));
  for (const { plan, output } of cut("alone").flat()) {
    await execute(plan, output, { threads: 0 });
    expect(sha256(output.replace("alone-", "parts-"))).toBe(sha256(output));
  }
});

test.each([0, 2])("a stopped run leaves no output, and is gone on with (%i threads)", async (threads) => {
  const models = modelsOf(`stopped${threads}`);
  const controller = new AbortController();
  const onProgress = (done: number, total: number) => {
    if (done >= total / 2) controller.abort(new LlqError("interrupted", "stopped"));
  };
  const stopped = executeTogether(models, { threads, onProgress, signal: controller.signal });
  await expect(stopped).rejects.toMatchObject({
    code: "interrupted",
    hint: expect.stringMatching(/--resume/),
  });
  for (const [part] of models) expect(existsSync(part!.output)).toBe(false);
  // One of them may have lost what it had: it begins anew, and the others go on.
  writeFileSync(`${models[1]![0]!.output}.partial.journal`, "");
  const summaries = await executeTogether(models, { threads, resume: true });
  const resumed = summaries.map(([summary]) => summary!.resumed);
  expect(resumed[1]).toBe(0);
  expect(Math.min(resumed[0]!, resumed[2]!)).toBeGreaterThan(0);
  const alone = await aloneOf(models);
  expect(summaries.map(([summary]) => sha256(summary!.output))).toEqual(alone.map(({ sha }) => sha));
});

test("none is written when one exists, or is asked for twice", async () => {
  const models = modelsOf("exists", undefined, ["Q4_K_M", "Q8_0"]);
  writeFileSync(models[1]![0]!.output, "mine");
  await expect(executeTogether(models)).rejects.toThrow(/exists-Q8_0\.gguf: exists already/);
  const [one] = modelsOf("twice", undefined, ["Q8_0"]);
  await expect(executeTogether([one!, one!])).rejects.toThrow(/is to be written twice at once/);
  expect(readdirSync(folder).filter((name) => /^(exists|twice)-/.test(name))).toEqual(["exists-Q8_0.gguf"]);
  expect(readFileSync(models[1]![0]!.output, "utf8")).toBe("mine");
});

test("weights at fault leave nothing, and plans of other sources are refused", async () => {
  const copy = copyTinyLlama(folder, "copy");
  const path = join(copy, "model.safetensors");
  const bytes = readFileSync(path);
  bytes.writeUInt16LE(0x7fc0, bytes.length - 2);
  writeFileSync(path, bytes);
  const models = ["Q4_K_M", "Q8_0"].map((type) => [
    { plan: planQuantize(openModel(copy), findRecipe(type)), output: join(folder, `nan-${type}.gguf`) },
  ]);
  await expect(executeTogether(models, { threads: 2 })).rejects.toMatchObject({ code: "bad-input" });
  await expect(executeTogether([models[0]!, ...modelsOf("other", undefined, ["Q8_0"])])).rejects.toThrow(
    /same sources/,
  );
  expect(readdirSync(folder).filter((name) => /^(nan|other)-/.test(name))).toEqual([]);
});
