import { createHash } from "node:crypto";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Container } from "../../formats/container.js";
import { openContainer } from "../../formats/open.js";
import { evaluatePerplexity } from "../../src/eval/perplexity/perplexity.js";
import { openModel } from "../../src/model.js";
import { planConvert } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { scratchFolder } from "../support/scratch.js";

// One small random model in every form, by the programs that write them: golden/make/checkpoints*.
const GOLDEN = new URL("../golden/checkpoints/", import.meta.url).pathname;
const folder = scratchFolder();
const text = readFileSync(join(GOLDEN, "text.txt"), "utf8");

/** A folder of golden/checkpoints. */
interface Form {
  readonly form: string;
  readonly format: Container["format"];
  /** What has to lie beside the weights. */
  readonly beside?: readonly string[];
  /** The model, when it is not the folder. */
  readonly file?: string;
  /** It describes itself, in its writer's words. */
  readonly described?: true;
}

// biome-ignore format: rows
const FORMS: readonly Form[] = [
  { form: "safetensors", format: "safetensors", beside: ["tokenizer.model", "config.json"] },
  { form: "safetensors-shards", format: "safetensors", beside: ["tokenizer.model", "config.json"] },
  { form: "torch", format: "torch", beside: ["tokenizer.model", "config.json"] },
  { form: "torch-shards", format: "torch", beside: ["tokenizer.model", "config.json"] },
  { form: "torch-state-dict", format: "torch", beside: ["tokenizer.model", "config.json"] },
  { form: "torch-model", format: "torch", beside: ["tokenizer.model", "config.json"] },
  { form: "meta-1", format: "torch", beside: ["tokenizer.model", "params.json"] },
  { form: "meta-2", format: "torch", beside: ["tokenizer.model", "params.json"] },
  { form: "meta-2-rows", format: "torch", beside: ["tokenizer.model", "params.json"] },
  { form: "flax", format: "flax", beside: ["tokenizer.model", "config.json"] },
  { form: "flax-shards", format: "flax", beside: ["tokenizer.model", "config.json"] },
  { form: "llama2c-0", format: "llama2.c", beside: ["tokenizer.model"], file: "model.bin", described: true },
  { form: "llama2c-1", format: "llama2.c", beside: ["tokenizer.model"], file: "model.bin", described: true },
  { form: "gguf", format: "gguf", file: "model.gguf", described: true },
  { form: "gguf-big-endian", format: "gguf", file: "model.gguf", described: true },
  { form: "gguf-split", format: "gguf", file: "model-00001-of-00003.gguf", described: true },
];

function assemble({ form, beside = [] }: Form): void {
  const path = join(folder, form);
  cpSync(join(GOLDEN, form), path, { recursive: true });
  for (const name of beside) cpSync(join(GOLDEN, name), join(path, name));
}

const open = ({ form, file = "" }: Form) => openModel(join(folder, form, file));

/** Hashes of a GGUF's tensors by name: the order is that of the source. */
function tensorHashes(path: string): [name: string, dtype: string, sha256: string][] {
  const file = readFileSync(path);
  const tensors = [...openContainer(path).tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  return tensors.map(([name, { dtype, offset, byteLength }]) => [
    name,
    dtype,
    createHash("sha256")
      .update(file.subarray(offset, offset + byteLength))
      .digest("hex"),
  ]);
}

async function written(form: Form, type: string, run: string): Promise<ReturnType<typeof tensorHashes>> {
  const output = join(folder, `${form.form}-${type}-${run}.gguf`);
  await execute(planConvert(open(form), findRecipe(type)), output, { threads: 0 });
  return tensorHashes(output);
}

describe("one model in every form", () => {
  beforeAll(() => FORMS.forEach(assemble));
  const reference = FORMS[0]!;

  test.each(FORMS)("$form is $format", (form) => {
    expect(open(form).container.format).toBe(form.format);
  });

  test.each(FORMS.filter(({ described }) => !described))("$form: the same metadata", (form) => {
    const described = (each: Form) =>
      new Map([...open(each).metadata].filter(([key]) => !/^general\.(name|version|basename)$/.test(key)));
    expect(described(form)).toEqual(described(reference));
  });

  test.each(FORMS)("$form: the same numbers", (form) => {
    expect(open(form).hparams).toEqual(open(reference).hparams);
  });

  // F32 is read through the kernels, BF16 copied as stored.
  test.each(FORMS.flatMap((form) => ["F32", "BF16"].map((type) => ({ ...form, type }))))(
    "$form converted to $type: the same bytes in every tensor",
    async (form) => {
      const { type } = form;
      expect(await written(form, type, "a")).toEqual(await written(reference, type, `b-${form.form}`));
    },
  );

  test("the same perplexity, to the last bit", async () => {
    const values = new Map<string, number>();
    for (const form of FORMS) {
      const model = open(form);
      const { bos, context } = { bos: model.vocab.special.bos!, context: 128 };
      const tokens = createTokenizer(model.vocab).encode(text);
      values.set(form.form, (await evaluatePerplexity(model, tokens, { bos, context, threads: 0 })).ppl);
    }
    // The text is some 400 tokens of a vocabulary of 96, and the weights are random.
    expect([...values.values()].every((value) => value > 1 && value < 1000)).toBe(true);
    expect(new Set(values.values()).size).toBe(1);
  });
});
