import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { evaluatePerplexity } from "../../src/eval/perplexity/perplexity.js";
import { openModel } from "../../src/model.js";
import { planConvert, planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { logitsOf } from "../support/logits.js";
import { scratchFolder } from "../support/scratch.js";

// Tiny checkpoints of every family, and what the reference implementation makes of a text; golden/make/families.py.
const GOLDEN = new URL("../golden/families/", import.meta.url).pathname;
const TEXT = readFileSync(join(GOLDEN, "text.txt"), "utf8");
const FAMILIES = readdirSync(GOLDEN).filter((name) => existsSync(join(GOLDEN, name, "reference.json")));

interface Reference {
  readonly context: number;
  /** Tokens whose logits are kept. */
  readonly positions: number;
  readonly perplexity: number;
  readonly tokens: readonly number[];
  /** A chunk whose first tokens see each other, where the family has such; its logits are prefixed.f32.gz. */
  readonly prefixed?: readonly number[];
}

const scratch = scratchFolder();

/** [positions][vocabulary] */
function readLogits(family: string, name = "logits"): Float32Array {
  const bytes = gunzipSync(readFileSync(join(GOLDEN, family, `${name}.f32.gz`)));
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** The largest difference, as a part of the range of what is expected. */
function difference(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  const range = Math.max(...expected) - Math.min(...expected);
  let largest = 0;
  for (const [i, value] of actual.entries()) largest = Math.max(largest, Math.abs(value - expected[i]!));
  return largest / range;
}

async function converted(model: string, name: string, type: string): Promise<string> {
  const output = join(scratch, `${name}.${type}.gguf`);
  const recipe = findRecipe(type);
  const plan =
    type === "F32" ? planConvert(openModel(model), recipe) : planQuantize(openModel(model), recipe);
  await execute(plan, output, { threads: 0 });
  return output;
}

test("llama.cpp's own conversion with --fuse-qkv says what the reference says", async () => {
  const model = openModel(join(GOLDEN, "llama", "fused-qkv.gguf"));
  expect(model.tensors.filter(({ role }) => role === "attn_qkv")).toHaveLength(model.hparams.blockCount);
  const { tokens, positions }: Reference = JSON.parse(
    readFileSync(join(GOLDEN, "llama", "reference.json"), "utf8"),
  );
  const logits = await logitsOf(model, Int32Array.from(tokens.slice(0, positions)));
  expect(difference(logits, readLogits("llama"))).toBeLessThanOrEqual(2e-4);
});

describe.each(FAMILIES)("%s", (family) => {
  const folder = join(GOLDEN, family);
  const reference: Reference = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8"));
  const tokens = Int32Array.from(reference.tokens);

  test("the folder and its conversion say what the reference says", async () => {
    const file = await converted(folder, family, "F32");
    for (const path of [folder, file]) {
      const model = openModel(path);
      expect([...createTokenizer(model.vocab).encode(TEXT)].slice(0, tokens.length)).toEqual([...tokens]);
      const logits = await logitsOf(model, tokens.subarray(0, reference.positions));
      expect(difference(logits, readLogits(family))).toBeLessThanOrEqual(2e-4);
      if (reference.prefixed !== undefined) {
        const prefixed = await logitsOf(model, Int32Array.from(reference.prefixed));
        expect(difference(prefixed, readLogits(family, "prefixed"))).toBeLessThanOrEqual(2e-4);
      }
      const { context } = reference;
      const bos = model.vocab.addBos ? model.vocab.special.bos : undefined;
      const options = { context, bos, activations: "f32", threads: 0 } as const;
      const { ppl } = await evaluatePerplexity(model, tokens, options);
      expect(Math.abs(ppl / reference.perplexity - 1)).toBeLessThanOrEqual(1e-5);
    }
  });

  test.each(["Q8_0", "Q4_K_M"])("is quantized to %s and evaluated", async (type) => {
    const model = openModel(await converted(folder, family, type));
    const bos = model.vocab.addBos ? model.vocab.special.bos : undefined;
    const { ppl } = await evaluatePerplexity(model, tokens, { context: reference.context, bos, threads: 0 });
    expect(Math.abs(Math.log(ppl / reference.perplexity))).toBeLessThan(type === "Q8_0" ? 0.02 : 0.5);
  });
});
