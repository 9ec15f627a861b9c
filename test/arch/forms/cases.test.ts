import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { evaluatePerplexity } from "../../../src/eval/perplexity/perplexity.js";
import { parseLora, withLora } from "../../../src/lora.js";
import { openModel } from "../../../src/model.js";
import { readVocab } from "../../../src/tokenizer/folder.js";
import { createTokenizer } from "../../../src/tokenizer/tokenizer.js";
import { vocabToMetadata } from "../../../src/tokenizer/vocab.js";
import { refusal } from "../../support/build/build.js";

// Small checkpoints after public reports, too large for this repository: LLQ_SHARED names the folder that has them. Values are
// transformers' and PEFT's, and llama-perplexity's for the GGUF.
const shared = process.env["LLQ_SHARED"] ?? "";
const CASES = `${shared}/cases`;

async function perplexity(path: string, chunks: number, adapter?: string): Promise<number> {
  const opened = openModel(`${CASES}/${path}`);
  const model = adapter === undefined ? opened : withLora(opened, [parseLora(`${CASES}/${adapter}`)]);
  const tokens = createTokenizer(model.vocab).encode(readFileSync("samples/text.txt", "utf8"));
  const options = { context: 64, chunks, bos: undefined, activations: "f32", threads: 0 } as const;
  return (await evaluatePerplexity(model, tokens, options)).ppl;
}

describe.skipIf(shared === "")("cases (needs LLQ_SHARED)", () => {
  test.each<[string, string, number, number, string?]>([
    ["another lm_head beside a tied config", "tied-with-other-lm_head/qwen2-tied", 4, 761.162],
    ["AutoGPTQ's biases of zeros", "gptq-zero-bias/qwen2", 2, 855.07366],
    [
      "an adapter of a tied embedding",
      "lora-tied/base-qwen2-tied",
      4,
      733.05206,
      "lora-tied/save_embed_tied",
    ],
    ["an adapter of a tied head", "lora-tied/base-qwen2-tied", 4, 894.53182, "lora-tied/lora_head_tied"],
    ["num_local_experts", "qwen3moe-num-local-experts", 4, 799.88408],
    ["rope.scaling.factor without a type", "gguf-rope-scaling/factor-without-type.gguf", 2, 762.0878],
    ["blocks that only the configuration tells", "ct-block-structure", 2, 755.80733],
  ])("%s", async (_, path, chunks, value, adapter) => {
    expect((await perplexity(path, chunks, adapter)) / value).toBeCloseTo(1, 6);
  });

  test("a base model that was saved alone", () => {
    expect(refusal(() => openModel(`${CASES}/prefixes/noprefix`))).toContain(
      "the output, lm_head.weight, is missing",
    );
  });

  // Its config.json has 2048 rows, with which the tokens could not be used.
  test("added tokens that only tokenizer.json has", () => {
    const { encode } = createTokenizer(readVocab(`${CASES}/spm-added-tokens-in-json`, { vocabSize: 2050 }));
    expect([...encode("a<tool>b")]).toEqual([1, 261, 2048, 1986]);
  });

  test("named chat templates", () => {
    const keys = vocabToMetadata(readVocab(`${CASES}/additional-chat-templates`, {}));
    expect([...keys.keys()].filter((key) => key.startsWith("tokenizer.chat_template"))).toEqual([
      "tokenizer.chat_template.rag",
      "tokenizer.chat_template.tool_use",
      "tokenizer.chat_templates",
      "tokenizer.chat_template",
    ]);
  });
});
