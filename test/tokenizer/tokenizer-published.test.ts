import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { withFile } from "../../formats/bytes.js";
import { readSentencePiece } from "../../formats/sentencepiece/sentencepiece.js";
import { NO_CONFIG } from "../../src/tokenizer/hf/hf-config.js";
import { vocabFromSentencePiece } from "../../src/tokenizer/spm/sentencepiece.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { readVocab, type Vocab } from "../../src/tokenizer/vocab.js";
import { disagreements, ggufVocab, goldenIds, lossy, SHARED } from "../support/tokenizer-helpers.js";

const TOKENIZERS = `${SHARED}/data/tokenizers`;
const folder = (name: string, vocabSize: number) => readVocab(`${TOKENIZERS}/${name}`, { vocabSize });
const model = (path: string) =>
  vocabFromSentencePiece(path, withFile(`${TOKENIZERS}/${path}`, readSentencePiece), NO_CONFIG);
const gguf = (name: string) => ggufVocab(`${TOKENIZERS}/llamacpp-vocabs/ggml-vocab-${name}.gguf`);

/** Texts and ids that llama.cpp tests itself with. */
function llamaCppVectors(name: string): { texts: string[]; ids: number[][] } {
  const path = `${TOKENIZERS}/llamacpp-vocabs/ggml-vocab-${name}.gguf`;
  const texts = readFileSync(`${path}.inp`, "utf8").split("\n__ggml_vocab_test__\n");
  const lines = readFileSync(`${path}.out`, "utf8").split("\n");
  const ids = texts.map((_, i) => (lines[i]!.match(/\d+/g) ?? []).map(Number));
  return { texts, ids };
}

describe.skipIf(!SHARED)("llama.cpp's own vectors (LLQ_SHARED)", { timeout: 120_000 }, () => {
  const cases: [vectors: string, from: string, vocab: () => Vocab][] = [
    ...[
      "llama-spm",
      "phi-3",
      "gpt-2",
      "mpt",
      "falcon",
      "starcoder",
      "refact",
      "deepseek-llm",
      "deepseek-coder",
    ].map((name): [string, string, () => Vocab] => [name, "GGUF", () => gguf(name)]),
    ["llama-spm", "tokenizer.model", () => model("llama2/tokenizer.model")],
    ["llama-bpe", "rank file", () => folder("llama3", 128256)],
    ["qwen2", "rank file", () => folder("qwen", 151936)],
    ["deepseek-r1-qwen", "Qwen's rank file", () => folder("qwen", 152064)],
    ["gpt-2", "vocab.json and merges.txt", () => folder("gpt2", 50257)],
    ["falcon", "tokenizer.json", () => folder("falcon-tokenizer", 65024)],
  ];

  it.each(cases)("%s from %s", (name, _, vocab) => {
    const { texts, ids } = llamaCppVectors(name);
    expect(texts.length).toBeGreaterThan(40);
    expect(disagreements(createTokenizer(vocab()), ids, texts)).toEqual([]);
  });

  it("leaves out no vocabulary that has vectors", () => {
    const known = new Set(cases.map(([name]) => name));
    const all = ["llama-spm", "llama-bpe", "gpt-2", "falcon", "mpt", "phi-3", "qwen2", "refact"];
    const withVectors = [...all, "deepseek-llm", "deepseek-coder", "starcoder", "baichuan"].filter((name) =>
      existsSync(`${TOKENIZERS}/llamacpp-vocabs/ggml-vocab-${name}.gguf.inp`),
    );
    expect(withVectors.filter((name) => !known.has(name))).toEqual([]);
  });
});

describe.skipIf(!SHARED)("published vocabularies (LLQ_SHARED)", { timeout: 120_000 }, () => {
  it.each([
    ["llama2", () => model("llama2/tokenizer.model")],
    ["llama2", () => gguf("llama-spm")],
    ["internlm", () => model("internlm/V7_sft.model")],
    ["chatglm-6b", () => model("chatglm-6b/ice_text.model")],
    ["gpt2", () => folder("gpt2", 50257)],
    ["gpt2", () => gguf("gpt-2")],
    ["falcon", () => folder("falcon-tokenizer", 65024)],
    ["falcon", () => gguf("falcon")],
    ["llama3", () => folder("llama3", 128256)],
    ["qwen", () => folder("qwen", 151936)],
  ])("%s gives the reference implementation's ids", (name, vocab) => {
    expect(disagreements(createTokenizer(vocab()), goldenIds(name))).toEqual([]);
  });

  it.each(["llama3", "gpt2"])("%s gives every text back", (name) => {
    expect(lossy(createTokenizer(readVocab(`${TOKENIZERS}/${name}`, {})))).toEqual([]);
  });

  it("makes of Llama 3's ranks as many merges as transformers does", () => {
    expect(folder("llama3", 128256).merges).toHaveLength(280147);
    expect(folder("qwen", 151936).merges).toHaveLength(151387);
  });
});
