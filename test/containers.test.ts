import { createHash } from "node:crypto";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openContainer } from "../formats/open.js";
import { evaluatePerplexity } from "../src/eval/perplexity.js";
import { openModel } from "../src/model.js";
import { planConvert } from "../src/quant/plan.js";
import { findRecipe } from "../src/quant/recipes.js";
import { execute } from "../src/run/execute.js";
import { createTokenizer } from "../src/tokenizer/tokenizer.js";
import { scratchFolder } from "./scratch.js";

// One small random model in every form, by the programs that write them: golden/make/checkpoints.py.
const GOLDEN = new URL("golden/checkpoints/", import.meta.url).pathname;
const folder = scratchFolder();
const text = readFileSync(join(GOLDEN, "text.txt"), "utf8");

/** The folder of golden/checkpoints, and what has to lie beside its weights. */
const FORMS: readonly [form: string, format: string, ...beside: string[]][] = [
  ["safetensors", "safetensors", "config.json"],
  ["safetensors-shards", "safetensors", "config.json"],
  ["torch", "torch", "config.json"],
  ["torch-shards", "torch", "config.json"],
  ["meta-1", "torch", "params.json"],
  ["meta-2", "torch", "params.json"],
  ["meta-2-rows", "torch", "params.json"],
];

function assemble(form: string, beside: readonly string[]): string {
  const path = join(folder, form);
  cpSync(join(GOLDEN, form), path, { recursive: true });
  for (const name of ["tokenizer.model", ...beside]) cpSync(join(GOLDEN, name), join(path, name));
  return path;
}

/** Hashes of a GGUF's tensors, in order. */
function tensorHashes(path: string): [name: string, dtype: string, sha256: string][] {
  const file = readFileSync(path);
  return [...openContainer(path).tensors].map(([name, { dtype, offset, byteLength }]) => [
    name,
    dtype,
    createHash("sha256")
      .update(file.subarray(offset, offset + byteLength))
      .digest("hex"),
  ]);
}

async function written(form: string, type: string, run: string): Promise<ReturnType<typeof tensorHashes>> {
  const output = join(folder, `${form}-${type}-${run}.gguf`);
  await execute(planConvert(openModel(join(folder, form)), findRecipe(type)), output, { threads: 0 });
  return tensorHashes(output);
}

describe("one model in every form", () => {
  beforeAll(() => {
    for (const [form, , ...beside] of FORMS) assemble(form, beside);
  });
  const [[reference]] = FORMS as [(typeof FORMS)[number]];

  test.each(FORMS.map(([form, format]) => ({ form, format })))("$form is $format", ({ form, format }) => {
    expect(openModel(join(folder, form)).container.format).toBe(format);
  });

  test.each(FORMS.map(([form]) => form))("%s: the same metadata", (form) => {
    const described = (each: string) =>
      new Map(openModel(join(folder, each)).metadata).set("general.name", { type: "string", value: "" });
    expect(described(form)).toEqual(described(reference));
  });

  // F32 is read through the kernels, BF16 copied as stored.
  test.each(FORMS.flatMap(([form]) => ["F32", "BF16"].map((type) => ({ form, type }))))(
    "$form converted to $type: the same bytes in every tensor",
    async ({ form, type }) => {
      expect(await written(form, type, "a")).toEqual(await written(reference, type, `b-${form}`));
    },
  );

  test("the same perplexity, to the last bit", async () => {
    const values = new Map<string, number>();
    for (const [form] of FORMS) {
      const model = openModel(join(folder, form));
      const { bos, context } = { bos: model.vocab.special.bos!, context: 128 };
      const tokens = createTokenizer(model.vocab).encode(text);
      values.set(form, (await evaluatePerplexity(model, tokens, { bos, context, threads: 0 })).ppl);
    }
    // The text is some 400 tokens of a vocabulary of 96, and the weights are random.
    expect([...values.values()].every((value) => value > 1 && value < 1000)).toBe(true);
    expect(new Set(values.values()).size).toBe(1);
  });
});
