import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { deepseek2 } from "../../../src/arch/families/deepseek2.js";
import { evaluatePerplexity } from "../../../src/eval/perplexity/perplexity.js";
import { openModel } from "../../../src/model.js";
import { planDecoder } from "../../../src/net/plan/decoder.js";
import { planKeep, planQuantize } from "../../../src/quant/plan.js";
import { findRecipe } from "../../../src/quant/recipes/recipes.js";
import { execute } from "../../../src/run/write/execute.js";
import { logitsOf } from "../../support/logits.js";
import { scratchFolder } from "../../support/scratch.js";
import { bits, feed, withTeam } from "../../support/team.js";

// A GGUF of latent attention from before llama.cpp cut attn_kv_b in two; golden/make/whole_latent.py.

const folder = new URL("../../golden/families/youtu/", import.meta.url).pathname;
const file = join(folder, "whole.gguf");
const { tokens, positions, context, perplexity } = JSON.parse(
  readFileSync(join(folder, "reference.json"), "utf8"),
);
const golden: { quantized: Record<string, Record<string, [type: string, sha256: string]>> } = JSON.parse(
  readFileSync(join(folder, "whole.json"), "utf8"),
);
const scratch = scratchFolder();

test("it says what transformers says", async () => {
  const model = openModel(file);
  expect(planDecoder(model).layers.map(({ mixer }) => mixer.plan.kind)).toEqual([
    "latent-expanded",
    "latent-expanded",
  ]);
  const bytes = gunzipSync(readFileSync(join(folder, "logits.f32.gz")));
  const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const logits = await logitsOf(model, Int32Array.from(tokens.slice(0, positions)));
  const range = Math.max(...expected) - Math.min(...expected);
  const off = logits.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
  expect(off / range).toBeLessThanOrEqual(2e-4);
  const bos = model.vocab.addBos ? model.vocab.special.bos : undefined;
  const options = { context, bos, activations: "f32", threads: 0 } as const;
  const { ppl } = await evaluatePerplexity(model, Int32Array.from(tokens), options);
  expect(Math.abs(ppl / perplexity - 1)).toBeLessThanOrEqual(1e-5);
});

test("it is kept as it is", async () => {
  const output = join(scratch, "kept.gguf");
  await execute(planKeep(openModel(file)), output, { threads: 0 });
  const [kept, whole] = [openContainer(output), openContainer(file)];
  expect([...kept.tensors.keys()]).toEqual([...whole.tensors.keys()]);
  expect([...kept.metadata.keys()].filter((key) => /_mla$|k_b|v_b/.test(key))).toEqual([]);
});

describe("it is quantized as by llama-quantize", () => {
  test.each(Object.entries(golden.quantized))("to %s", async (type, expected) => {
    const output = join(scratch, `${type}.gguf`);
    await execute(planQuantize(openModel(file), findRecipe(type)), output, { threads: 0 });
    const bytes = readFileSync(output);
    const written = Array.from(openContainer(output).tensors, ([name, { dtype, offset, byteLength }]) => {
      const own = bytes.subarray(offset, offset + byteLength);
      return [name, [dtype, createHash("sha256").update(own).digest("hex")]];
    });
    expect(Object.fromEntries(written)).toEqual(expected);
  });
});

test.each([1, 3])("with %i threads it says the same in pieces", async (threads) => {
  const model = openModel(file);
  const chunk: number[] = tokens.slice(0, 40);
  const { vocabSize } = model.hparams;
  const logits = await logitsOf(model, Int32Array.from(chunk));
  await withTeam(model, { threads }, async (team) => {
    for (let at = 0; at < chunk.length; at += 7) {
      const own = chunk.slice(at, at + 7);
      const end = (at + own.length) * vocabSize;
      expect(bits(await feed(team, own))).toBe(bits(logits.subarray(end - vocabSize, end)));
    }
  });
});

test.each([
  [47, 154880, "sigmoid"],
  [48, 154880, "sigmoid"],
  [47, 102400, "softmax"],
  [61, 154880, "softmax"],
])(
  "a file of %i layers and %i tokens that says no gating function has %s",
  (blockCount, vocabSize, gating) => {
    const { hparams } = openModel(file);
    const { layers } = deepseek2.decoder({ ...hparams, blockCount, vocabSize });
    expect(layers[0]!.feedForward!.router!.gating).toBe(gating);
  },
);
