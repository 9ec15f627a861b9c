import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { NO_CONFIG } from "../../src/tokenizer/hf/hf-config.js";
import { vocabFromTokenizerJson } from "../../src/tokenizer/hf/hf-vocab.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { TINY_LLAMA } from "../support/scratch.js";
import { disagreements, readGolden } from "../support/tokenizer-helpers.js";

// What a tokenizer.json says and GGUF has no words for; golden/make/tokenizer_rules.py.
interface Rules {
  readonly unigram: object;
  readonly strings: readonly string[];
  readonly pipelines: Readonly<
    Record<
      string,
      {
        readonly base: string;
        readonly parts: { readonly model?: object; readonly noBytes?: true };
        readonly ids: readonly (readonly number[])[];
      }
    >
  >;
}

interface Json {
  readonly model: { readonly vocab: object };
}

const golden = readGolden<Rules>("rules");

function baseOf(name: string): Json {
  if (name === "unigram") return golden.unigram as Json;
  if (name === "tiny-llama") return JSON.parse(readFileSync(join(TINY_LLAMA, "tokenizer.json"), "utf8"));
  const level = readGolden<{ model: Json["model"]; pipelines: Record<string, object> }>("byte-level");
  return { ...level.pipelines["gpt-2"], decoder: { type: "ByteLevel" }, model: level.model } as Json;
}

function jsonOf({ base, parts: { noBytes, ...parts } }: Rules["pipelines"][string]): unknown {
  const whole = baseOf(base);
  const model = { ...whole.model, ...parts.model };
  if (!noBytes) return { ...whole, ...parts, model };
  const kept = Object.entries(model.vocab).filter(([text]) => !text.startsWith("<0x"));
  const vocab = Object.fromEntries(kept.sort((a, b) => a[1] - b[1]).map(([text], id) => [text, id]));
  return { ...whole, ...parts, model: { ...model, vocab }, added_tokens: [] };
}

describe.each(Object.keys(golden.pipelines))("%s", (name) => {
  const pipeline = golden.pipelines[name]!;

  test("gives the ids of Hugging Face's tokenizers", () => {
    const vocab = vocabFromTokenizerJson("tokenizer.json", jsonOf(pipeline), NO_CONFIG);
    expect(disagreements(createTokenizer(vocab), pipeline.ids, golden.strings)).toEqual([]);
  });
});
