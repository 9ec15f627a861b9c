import { createHash } from "node:crypto";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LlqError } from "../../../formats/errors.js";
import { openImatrix } from "../../../formats/imatrix/imatrix.js";
import { chunkBos, readTokens } from "../../../src/commands/shared/text.js";
import { calibrate } from "../../../src/eval/calibrate/calibrate.js";
import type { CalibrateOptions } from "../../../src/eval/calibrate/options.js";
import { recompute } from "../../../src/eval/calibrate/recompute.js";
import { removeScratch } from "../../../src/eval/calibrate/scratch.js";
import {
  type CalibrationChunks,
  calibrationChunks,
  unknownImatrix,
} from "../../../src/eval/calibrate/text.js";
import { writeImatrix } from "../../../src/eval/imatrix/imatrix-file.js";
import { evaluatePerplexity } from "../../../src/eval/perplexity/perplexity.js";
import { type Model, openModel } from "../../../src/model.js";
import { calibrationMetadata } from "../../../src/quant/metadata.js";
import { type Plan, planQuantize } from "../../../src/quant/plan.js";
import { parseOverride } from "../../../src/quant/recipes/override.js";
import { findRecipe } from "../../../src/quant/recipes/recipes.js";
import { verify } from "../../../src/run/measure/verify.js";
import { execute } from "../../../src/run/write/execute.js";
import { TOKEN_TYPE } from "../../../src/tokenizer/types.js";
import { GOLDEN_FAMILIES } from "../../support/families.js";
import { scratchFolder, TINY_LLAMA } from "../../support/scratch.js";

const folder = scratchFolder();
const SAMPLE_TEXT = new URL("../../../samples/text.txt", import.meta.url).pathname;
let files = 0;

/** A model, and the tokens it is calibrated on: a family's own, again and again in another order. */
function family(name: string): { model: Model; chunks: CalibrationChunks } {
  const model = openModel(join(GOLDEN_FAMILIES, name));
  const { tokens } = JSON.parse(readFileSync(join(GOLDEN_FAMILIES, name, "reference.json"), "utf8"));
  const many = Int32Array.from({ length: 768 }, (_, i) => tokens[(i * 7 + (i >> 5)) % tokens.length]);
  return { model, chunks: calibrationChunks(model, many, { tokens: 768, context: 32 }) };
}

function planOf(model: Model, type: string, chunks: number): Plan {
  const imatrix = unknownImatrix(model, "text.txt", chunks);
  return planQuantize(model, findRecipe(type), {
    imatrix,
    overrideKv: calibrationMetadata("full", chunks, 32),
  });
}

interface Run extends Partial<CalibrateOptions> {
  readonly output?: string;
}

/** Calibrates and writes the file. */
async function write(model: Model, plan: Plan, chunks: CalibrationChunks, options: Run = {}) {
  const output = options.output ?? join(folder, `${files++}.gguf`);
  const scratch = `${output}.calibration`;
  const calibration = await calibrate(model, plan, output, chunks, {
    ...{ effort: "full", scratch, threads: 0, ...options },
  });
  await execute(calibration.apply(plan), output, { threads: 0 });
  removeScratch(scratch);
  return { output, calibration, hash: createHash("sha256").update(readFileSync(output)).digest("hex") };
}

describe.each(["llama", "mixtral", "deepseek-v2-lite", "gemma2", "granite-4-hybrid"])("%s", (name) => {
  const { model, chunks } = family(name);
  const plan = planOf(model, "Q4_0", chunks.text.length);

  test("has the same bytes for every number of threads and every limit of memory", async () => {
    const runs = [{}, { threads: 1 }, { threads: 2, maxMemory: 2 ** 30 }, { threads: 8, maxMemory: 2 ** 31 }];
    const hashes = new Set<string>();
    for (const run of runs) hashes.add((await write(model, plan, chunks, run)).hash);
    expect(hashes.size).toBe(1);
  });

  test("goes on where it was stopped", async () => {
    const whole = await write(model, plan, chunks);
    const output = join(folder, `${files++}.gguf`);
    const stop = new AbortController();
    const onProgress = (done: number, total: number) => {
      if (done > total / 2) stop.abort(new LlqError("interrupted", "stopped"));
    };
    const stopped = write(model, plan, chunks, { output, threads: 1, onProgress, signal: stop.signal });
    await expect(stopped).rejects.toMatchObject({
      code: "interrupted",
      hint: expect.stringContaining("--resume"),
    });
    // not with another effort or setting, nor when what was text counts as drawn
    const text = chunks.text.slice(0, -1);
    const drawn = [...chunks.text.slice(-1), ...chunks.drawn];
    for (const [of, other] of [
      [chunks, { effort: "plain" }],
      [chunks, { tuning: { damp: 0.5 } }],
      [{ ...chunks, text, drawn }, {}],
    ] as const) {
      const foreign = write(model, plan, of, { output, resume: true, ...other });
      await expect(foreign).rejects.toMatchObject({ code: "usage" });
    }
    const resumed = await write(model, plan, chunks, { output, resume: true });
    expect(resumed.calibration.resumed).toBeGreaterThan(0);
    expect(resumed.calibration.resumed).toBeLessThan(resumed.calibration.steps);
    expect(resumed.hash).toBe(whole.hash);
  });

  test("has every row with less error on what was kept out, and none with more", async () => {
    const { calibration } = await write(model, plan, chunks);
    const rounded = plan.tensors.filter(
      ({ dtype, tensor }) => dtype === "Q4_0" && tensor.layer !== undefined,
    );
    expect(calibration.reports.map((report) => report.name).sort()).toEqual(
      expect.arrayContaining(
        rounded.map(({ tensor }) => tensor.name).filter((each) => each.startsWith("blk.0.attn_q")),
      ),
    );
    for (const { error, plainError } of calibration.reports) expect(error).toBeLessThanOrEqual(plainError);
  });
});

test("codes are gone through again, of codebooks too, the same for every number of threads", async () => {
  const model = openModel(TINY_LLAMA);
  const chunks = calibrationChunks(model, readTokens(model, SAMPLE_TEXT), { tokens: 512, context: 64 });
  const plan = planQuantize(model, findRecipe("F16"), {
    imatrix: unknownImatrix(model, "text.txt", chunks.text.length),
    overrides: [parseOverride("blk.0.attn_k.weight=IQ2_XS"), parseOverride("blk.0.attn_v.weight=Q4_K")],
  });
  const [one, two, full] = [
    await write(model, plan, chunks, { effort: "max" }),
    await write(model, plan, chunks, { effort: "max", threads: 2 }),
    await write(model, plan, chunks),
  ];
  expect(two.hash).toBe(one.hash);
  expect(full.hash).not.toBe(one.hash);
});

test("a file is verified by its bounds, and by doing it again", async () => {
  const { model, chunks } = family("llama");
  const plan = planOf(model, "Q4_0", chunks.text.length);
  const { output } = await write(model, plan, chunks);
  const written = openModel(output);
  expect((await verify(written, model, { threads: 0 })).flatMap(({ faults }) => faults)).toEqual([]);
  const imatrix = unknownImatrix(model, "text.txt", chunks.text.length);
  const options = { effort: "full", threads: 0, imatrix, folder } as const;
  const verdicts = await recompute(written, model, chunks, options);
  expect(verdicts.every(({ verdict }) => verdict === "identical")).toBe(true);
  const others = await recompute(written, model, { ...chunks, text: chunks.text.slice(0, -1) }, options);
  expect(others.filter(({ verdict }) => verdict === "wrong").length).toBeGreaterThan(0);
});

describe("samples/tiny-llama", () => {
  const model = openModel(TINY_LLAMA);
  const tokens = readTokens(model, SAMPLE_TEXT);
  const half = Math.floor(tokens.length / 2);
  const bos = chunkBos(model);
  const [first, second] = [tokens.slice(0, half), tokens.slice(half)];

  const divergence = async (path: string) => {
    const options = { context: 128, chunks: 8, bos, base: model, activations: "f32", threads: 0 } as const;
    return (await evaluatePerplexity(openModel(path), second, options)).divergence!.kld.value;
  };

  test("says more nearly what the model says, of a text that is not the one it was calibrated on", async () => {
    const chunks = calibrationChunks(model, first, { tokens: 2048, bos });
    const plan = planOf(model, "Q3_K_M", chunks.text.length);
    const plain = join(folder, "plain.gguf");
    await execute(planQuantize(model, findRecipe("Q3_K_M"), {}), plain, { threads: 0 });
    const [own, full] = [
      await write(model, plan, chunks, { effort: "plain" }),
      await write(model, plan, chunks, { effort: "full" }),
    ];
    const base = await divergence(plain);
    expect(await divergence(own.output)).toBeLessThan(base * 0.9);
    expect(await divergence(full.output)).toBeLessThan(base * 0.8);
  });

  test("of one line again and again no harm comes", async () => {
    const line = new Int32Array(2048).map((_, i) => first[i % 16]!);
    const chunks = calibrationChunks(model, line, { tokens: 1024, bos });
    const { output } = await write(model, planOf(model, "Q4_K_M", chunks.text.length), chunks);
    const plain = join(folder, "plain4.gguf");
    await writeImatrix(`${plain}.imatrix`, { model, text: SAMPLE_TEXT, tokens: line }, { bos, threads: 0 });
    const imatrix = openImatrix(`${plain}.imatrix`);
    await execute(planQuantize(model, findRecipe("Q4_K_M"), { imatrix }), plain, { threads: 0 });
    expect(await divergence(output)).toBeLessThan(await divergence(plain));
  });

  test("a text of few tokens is better than an importance matrix of many", async () => {
    const chunks = calibrationChunks(model, first.slice(0, 200), { tokens: 2048, bos });
    expect(chunks.text.length * 64).toBe(192);
    expect(chunks.drawn.length * 64).toBe(2048 - 192);
    const { output, calibration } = await write(model, planOf(model, "Q4_K_M", 3), chunks);
    expect(calibration).toMatchObject({ tokens: 192, drawn: 2048 - 192 });
    const plain = join(folder, "plain5.gguf");
    await writeImatrix(`${plain}.imatrix`, { model, text: SAMPLE_TEXT, tokens: first }, { bos, threads: 0 });
    const imatrix = openImatrix(`${plain}.imatrix`);
    await execute(planQuantize(model, findRecipe("Q4_K_M"), { imatrix }), plain, { threads: 0 });
    expect(await divergence(output)).toBeLessThan(await divergence(plain));
  });

  test("chunks that say nothing new are left out, and tokens of the vocabulary take their place", () => {
    const options = { tokens: 1024, bos };
    const line = calibrationChunks(model, new Int32Array(2048).fill(500), options);
    expect([line.text.length, line.drawn.length]).toEqual([1, 7]);
    expect(calibrationChunks(model, new Int32Array(900).fill(500), options)).toEqual({
      text: line.text.map((chunk) => chunk.slice(0, 112)),
      drawn: expect.any(Array),
    });
    const { drawn } = calibrationChunks(model, first.slice(0, 200), options);
    expect(drawn).toEqual(calibrationChunks(model, first.slice(200, 400), options).drawn);
    const own = drawn.flatMap((chunk) => [...chunk.slice(1)]);
    expect(own.every((token) => model.vocab.types[token] === TOKEN_TYPE.NORMAL)).toBe(true);
    expect(new Set(own).size).toBeGreaterThan(own.length / 2);
    expect(calibrationChunks(model, first, options).drawn).toEqual([]);
  });

  test("a text of too few tokens is refused", () => {
    expect(() => calibrationChunks(model, first.slice(0, 31), { tokens: 1000, bos })).toThrow(/31 tokens/);
    expect(calibrationChunks(model, first.slice(0, 200), { tokens: 1000, bos }).text[0]!.length).toBe(64);
  });

  test("a limit of memory that is too low is refused, and nothing is left", async () => {
    const chunks = calibrationChunks(model, first, { tokens: 256, bos });
    const output = join(folder, "small.gguf");
    const run = write(model, planOf(model, "Q4_K_M", chunks.text.length), chunks, {
      output,
      maxMemory: 1000,
    });
    await expect(run).rejects.toMatchObject({
      code: "no-space",
      hint: expect.stringContaining("--max-memory"),
    });
    for (const left of ["", ".calibration", ".calibration.journal", ".partial"]) {
      expect(existsSync(output + left)).toBe(false);
    }
  });

  test("weights that give no numbers are refused", async () => {
    const copy = join(folder, "spoilt");
    cpSync(TINY_LLAMA, copy, { recursive: true });
    const path = join(copy, "model.safetensors");
    const bytes = readFileSync(path);
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
    const [start, end] = header["model.layers.1.input_layernorm.weight"].data_offsets;
    // The largest bfloat16 that is a number, again and again: products of it are none.
    for (let at = start; at < end; at += 2) bytes.writeUInt16LE(0x7f7f, 8 + length + at);
    writeFileSync(path, bytes);
    const spoilt = openModel(copy);
    const chunks = calibrationChunks(spoilt, first, { tokens: 256, bos });
    const run = write(spoilt, planOf(spoilt, "Q4_K_M", chunks.text.length), chunks);
    await expect(run).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringContaining("not finite"),
    });
  });
});
