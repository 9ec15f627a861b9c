import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { LlqError } from "../../formats/errors.js";
import { openImatrix } from "../../formats/imatrix/imatrix.js";
import { mergeImatrices } from "../../formats/imatrix/imatrix-merge.js";
import { imatrixFile } from "../../formats/imatrix/imatrix-write.js";
import { sensitivityFile } from "../../formats/sensitivity.js";
import { modelTokenizer } from "../../src/commands/shared/text.js";
import { evaluateChoice } from "../../src/eval/choice/choice.js";
import { readQuestions } from "../../src/eval/choice/questions.js";
import { compareModels } from "../../src/eval/compare/compare-models.js";
import { writeImatrix } from "../../src/eval/imatrix/imatrix-file.js";
import { evaluateChoicePart, finishChoice } from "../../src/eval/parts/choice.js";
import { comparePart, finishCompare } from "../../src/eval/parts/compare.js";
import { computeImatrixPart, finishImatrix } from "../../src/eval/parts/imatrix.js";
import { evaluatePerplexityPart, finishPerplexity } from "../../src/eval/parts/perplexity.js";
import { finishSensitivity, measureSensitivityPart } from "../../src/eval/parts/sensitivity.js";
import { evaluatePerplexity } from "../../src/eval/perplexity/perplexity.js";
import { writeSensitivity } from "../../src/eval/sensitivity/sensitivity-file.js";
import { type Model, openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { verify } from "../../src/run/measure/verify.js";
import { gatherParts } from "../../src/run/parts/gather.js";
import { readRecord, recordPath } from "../../src/run/parts/record.js";
import { finishVerify, verifyPart } from "../../src/run/parts/verify.js";
import { execute } from "../../src/run/write/execute.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// What parts measure and llq finish adds up is what one run says, to the last digit: the values of one run are held against
// llama.cpp and transformers elsewhere.

const folder = scratchFolder();
const golden = (path: string) => new URL(`../golden/${path}`, import.meta.url).pathname;
const TEXT = new URL("../../samples/text.txt", import.meta.url).pathname;
const MOE = golden("families/qwen3-moe");

let base: Model;
let small: Model;
let tokens: Int32Array;
beforeAll(async () => {
  base = openModel(TINY_LLAMA);
  const path = join(folder, "small.gguf");
  await execute(planQuantize(base, findRecipe("Q4_K_M")), path, { threads: 0 });
  small = openModel(path);
  tokens = modelTokenizer(base).encode(readFileSync(TEXT, "utf8")).slice(0, 1200);
});

/** Does all parts, the last first, on none or one thread. */
async function inParts(
  count: number,
  work: (part: { no: number; count: number }, threads: number) => Promise<unknown>,
) {
  for (let no = count; no >= 1; no--) await work({ no, count }, no % 2);
}

/** What times are not of. */
function timeless<T>(value: T): T {
  const isTime = (key: string) => /^(seconds|tokensPerSecond)$/.test(key);
  return JSON.parse(JSON.stringify(value, (key, each) => (isTime(key) ? undefined : each)));
}

describe("what is measured in parts", () => {
  test.each([1, 2, 5, 16])("perplexity and divergence, %s parts", async (count) => {
    const output = join(folder, `ppl-${count}`);
    const options = { context: 128, bos: 1, base };
    await inParts(count, (part, threads) =>
      evaluatePerplexityPart(output, part, small, tokens, { ...options, threads, text: TEXT }),
    );
    const finished = finishPerplexity(gatherParts(output));
    expect(timeless(finished.result)).toEqual(
      timeless(await evaluatePerplexity(small, tokens, { ...options, threads: 1 })),
    );
    expect(finished).toMatchObject({ model: small.path, base: base.path, text: TEXT });
  });

  test("without a base, by strides", async () => {
    const output = join(folder, "strides");
    const options = { context: 128, bos: 1, stride: 64 };
    await inParts(3, (part, threads) =>
      evaluatePerplexityPart(output, part, small, tokens, { ...options, threads }),
    );
    const one = await evaluatePerplexity(small, tokens, { ...options, threads: 0 });
    expect(timeless(finishPerplexity(gatherParts(output)).result)).toEqual(timeless(one));
  });

  test.each([
    ["tiny-llama", TINY_LLAMA, 1],
    ["a mixture of experts", MOE, undefined],
  ])("an importance matrix of %s, byte for byte", async (name, path, bos) => {
    const model = openModel(path);
    const ids = modelTokenizer(model).encode(readFileSync(TEXT, "utf8")).slice(0, 600);
    const output = join(folder, `${name}.gguf`);
    const alone = join(folder, `${name} alone.gguf`);
    const options = { context: 64, bos, fromChunk: 1, output: true };
    await inParts(4, (part, threads) =>
      computeImatrixPart(output, part, model, ids, { ...options, threads, dataset: TEXT }),
    );
    const imatrix = finishImatrix(gatherParts(output));
    const bytes = imatrixFile(mergeImatrices([{ name: output, imatrix }], imatrix.chunkSize));
    await writeImatrix(alone, { model, text: TEXT, tokens: ids }, { ...options, threads: 1 });
    expect(Buffer.compare(bytes, readFileSync(alone))).toBe(0);
    expect(openImatrix(alone).entries.size).toBeGreaterThan(10);
  });

  test("sensitivity, byte for byte", async () => {
    const [output, alone] = [join(folder, "s.json"), join(folder, "alone.json")];
    const options = { context: 64, chunks: 2, bos: 1 };
    const source = { model: base, text: TEXT, tokens };
    await inParts(3, (part, threads) =>
      measureSensitivityPart(output, part, source, { ...options, threads }),
    );
    const { sensitivity } = finishSensitivity(output, gatherParts(output));
    await writeSensitivity(alone, source, { ...options, threads: 1 });
    expect(Buffer.compare(sensitivityFile(sensitivity), readFileSync(alone))).toBe(0);
    expect(existsSync(`${output}.part-1-of-3.scratch`)).toBe(false);
  });

  test.each(["mmlu.csv", "hellaswag.jsonl"])("questions of %s", async (name) => {
    const file = readQuestions(golden(`choice/${name}`));
    const output = join(folder, name);
    const tokenizer = modelTokenizer(base);
    const subject = { subject: "anatomy", file, examples: undefined };
    const of = { path: file.path, isFolder: false };
    await inParts(3, (part, threads) =>
      evaluateChoicePart(output, part, base, tokenizer, [subject], { ...of, threads }),
    );
    const one = await evaluateChoice(base, tokenizer, file, { threads: 0 });
    expect(timeless(finishChoice(gatherParts(output)).result)).toEqual(timeless(one));
  });

  test("a comparison", async () => {
    const output = join(folder, "compare");
    const options = { context: 128, bos: 1 };
    writeFileSync(output, "of an older run, which finishing replaces");
    await expect(
      comparePart(small.path, { no: 1, count: 1 }, base, [small], tokens, { ...options, text: TEXT }),
    ).rejects.toMatchObject({ code: "usage" });
    await inParts(3, (part, threads) =>
      comparePart(output, part, base, [small, base], tokens, { ...options, threads, text: TEXT }),
    );
    const { result, text } = finishCompare(gatherParts(output));
    const one = await compareModels(base, [small, base], tokens, { ...options, threads: 1 });
    expect(timeless(result)).toEqual(timeless(one));
    expect(text).toBe(TEXT);
  });

  test("verification, with what is missing and what is surplus", async () => {
    const output = join(folder, "verify");
    const cut = { ...small, tensors: small.tensors.slice(1) };
    const source = { ...base, tensors: base.tensors.slice(0, -1) };
    await inParts(4, (part, threads) => verifyPart(output, part, cut, source, { threads }));
    const { verdicts, isCalibrated } = finishVerify(gatherParts(output));
    expect(verdicts).toEqual(await verify(cut, source, { threads: 0 }));
    expect(verdicts.filter(({ verdict }) => verdict === "wrong")).toHaveLength(2);
    expect(isCalibrated).toBe(false);
  });
});

describe("parts of a measurement", () => {
  const options = { context: 64, bos: 1, threads: 0 };

  test("that was killed go on: what is noted is not computed again", async () => {
    const output = join(folder, "killed");
    const controller = new AbortController();
    const onProgress = (done: number, total: number) => {
      if (done >= total / 2) controller.abort(new LlqError("interrupted", "stopped"));
    };
    const work = evaluatePerplexityPart(output, { no: 1, count: 1 }, small, tokens, {
      ...{ ...options, maxMemory: 300_000, signal: controller.signal, onProgress },
    });
    await expect(work).rejects.toMatchObject({ code: "interrupted" });
    expect(() => gatherParts(output)).toThrow(expect.objectContaining({ code: "usage" }));
    // as if the kill had come in the middle of a note
    const path = recordPath(output, { no: 1, count: 1 });
    writeFileSync(path, readFileSync(path).subarray(0, -3));
    const noted = readRecord(path).frames.length;
    const again = await evaluatePerplexityPart(output, { no: 1, count: 1 }, small, tokens, options);
    expect(again.resumed).toBe(noted);
    expect(again.elements).toBe(18);
    const one = await evaluatePerplexity(small, tokens, options);
    expect(timeless(finishPerplexity(gatherParts(output)).result)).toEqual(timeless(one));
  });

  test.each([
    [
      "another model",
      () => evaluatePerplexityPart(join(folder, "mixed"), { no: 2, count: 2 }, base, tokens, options),
    ],
    [
      "another context",
      () =>
        evaluatePerplexityPart(join(folder, "mixed"), { no: 2, count: 2 }, small, tokens, {
          ...options,
          context: 128,
        }),
    ],
    [
      "another text",
      () =>
        evaluatePerplexityPart(join(folder, "mixed"), { no: 2, count: 2 }, small, tokens.slice(1), options),
    ],
    [
      "a base",
      () =>
        evaluatePerplexityPart(join(folder, "mixed"), { no: 2, count: 2 }, small, tokens, {
          ...options,
          base,
        }),
    ],
    [
      "f32",
      () =>
        evaluatePerplexityPart(join(folder, "mixed"), { no: 2, count: 2 }, small, tokens, {
          ...options,
          activations: "f32",
        }),
    ],
    [
      "another kind of work",
      () => verifyPart(join(folder, "mixed"), { no: 2, count: 2 }, small, base, { threads: 0 }),
    ],
  ])("do not go together with %s", async (_, work) => {
    await evaluatePerplexityPart(join(folder, "mixed"), { no: 1, count: 2 }, small, tokens, options);
    await expect(work()).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/mixed\.part-1-of-2: is of other options, another source/),
    });
  });

  test("whose results are damaged are refused", async () => {
    const output = join(folder, "damaged");
    await evaluatePerplexityPart(output, { no: 1, count: 1 }, small, tokens, options);
    const path = recordPath(output, { no: 1, count: 1 });
    const bytes = readFileSync(path);
    bytes[readRecord(path).frames[3]!.offset + 40]! ^= 1;
    writeFileSync(path, bytes);
    expect(() => finishPerplexity(gatherParts(output))).toThrow(
      expect.objectContaining({ code: "bad-input", message: expect.stringMatching(/have 3 of 18 results/) }),
    );
  });
});
