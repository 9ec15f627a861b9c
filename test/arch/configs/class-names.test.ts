import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { LlqError } from "../../../formats/errors.js";
import { ARCHITECTURES, architectureOfConfig, architecturesOfGguf } from "../../../src/arch/index.js";

// What is said of models that llq does not know. See golden/make/class_names.py.

const NAMES: readonly string[] = JSON.parse(
  readFileSync(new URL("../../golden/transformers-classes.json", import.meta.url), "utf8"),
);
const known = new Set(ARCHITECTURES.flatMap(({ classes }) => classes));

function refusal(open: () => unknown): { code: string; message: string; hint: string } {
  try {
    open();
  } catch (error) {
    if (error instanceof LlqError)
      return { code: error.code, message: error.message, hint: String(error.hint) };
    throw error;
  }
  return { code: "accepted", message: "", hint: "" };
}

const ofClass = (name: string) =>
  refusal(() => architectureOfConfig("config.json", { architectures: [name] }));

test("every class that transformers has for texts is known, or refused by name with what it would take", () => {
  const unknown = NAMES.filter((name) => !known.has(name));
  expect(NAMES.length - unknown.length).toBeGreaterThan(80);
  for (const name of unknown) {
    const { code, message, hint } = ofClass(name);
    expect([name, code]).toEqual([name, "unsupported"]);
    expect(message).toBe(`config.json: architecture ${name} is not supported`);
    expect(hint).toMatch(/^it would take [^;]+; supported: /);
  }
});

test.each([
  ["BertForSequenceClassification", "a head that predicts the next token"],
  ["RobertaForCausalLM", "layers of encoders"],
  ["T5ForConditionalGeneration", "an encoder"],
  ["DeepseekV4ForCausalLM", "hyper-connections"],
  ["RwkvForCausalLM", "its own recurrence"],
  ["Qwen3Model", "a head that predicts the next token"],
  ["OvisForConditionalGeneration", "its language model"],
  ["SomethingNewForCausalLM", "a family of its own, with its layers"],
  ["Lfm3ForCausalLM", "its kind of linear attention or convolution"],
  ["Zamba2ForCausalLM", "attention and state spaces in the forms that it mixes"],
  ["MiniMaxM3VLForCausalLM", "an index that chooses which keys a query sees"],
  ["LongcatFlashForCausalLM", "two attentions a layer, and experts that do nothing"],
  ["Gemma4AssistantForCausalLM", "the model that it drafts for"],
  ["DiffLlamaForCausalLM", "attention that is the difference of two"],
  ["MllamaForCausalLM", "attention to images in layers of their own"],
  ["DiffusionGemmaForBlockDiffusion", "denoising in place of one token after another"],
  ["MoshiForCausalLM", "codes of sound in place of tokens"],
  ["BltForCausalLM", "patches of bytes in place of tokens"],
  ["OPTForCausalLM", "a family of its own, which llama.cpp has not either"],
])("%s would take %s", (name, needed) => {
  expect(ofClass(name).hint).toContain(`it would take ${needed}`);
});

test.each(["rwkv7", "t5", "deepseek4", "modern-bert"])("a GGUF of architecture %s", (name) => {
  const { code, message, hint } = refusal(() => architecturesOfGguf("a.gguf", name));
  expect([code, message]).toEqual(["unsupported", `a.gguf: architecture ${name} is not supported`]);
  expect(hint).toMatch(/^it would take (?!a family)/);
});

test.each([
  ["LlamaForCasualLM", "LlamaForCausalLM"],
  ["QWen3ForCausalLM", "Qwen3ForCausalLM"],
  ["SmolLM3ForCausallm", "SmolLM3ForCausalLM"],
])("%s is a slip of the pen, %s is meant", (name, meant) => {
  expect(ofClass(name).hint).toMatch(new RegExp(`^did you mean ${meant}\\? supported: `));
});
