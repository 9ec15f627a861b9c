import { describe, expect, it } from "vitest";
import { BufferSource, withFile } from "../../formats/bytes.js";
import { readSentencePiece } from "../../formats/sentencepiece/sentencepiece.js";
import { Detokenizer, type DetokenizerOptions } from "../../src/generate/text/detokenizer.js";
import { NO_CONFIG } from "../../src/tokenizer/hf/hf-config.js";
import { vocabFromTokenizerJson } from "../../src/tokenizer/hf/hf-vocab.js";
import { vocabFromSentencePiece } from "../../src/tokenizer/spm/sentencepiece.js";
import { TOKEN_TYPE } from "../../src/tokenizer/types.js";
import { readLlama2cVocab, readVocab, type Vocab } from "../../src/tokenizer/vocab.js";
import { TINY_LLAMA } from "../support/scratch.js";
import { readGolden, SHARED } from "../support/tokenizer-helpers.js";

/** Ids, the first `prompt` of which have the text `start`, and the text of all. */
interface Case {
  readonly ids: readonly number[];
  readonly prompt: number;
  readonly start: string;
  readonly text: string;
}

const golden = readGolden<Readonly<Record<string, readonly Case[]>>>("decode");

function decode(vocab: Vocab, ids: readonly number[], options?: DetokenizerOptions): string {
  const detokenizer = new Detokenizer(vocab, options);
  return ids.map((id) => detokenizer.push(id)).join("") + detokenizer.end();
}

/** Cases where the whole text is another, or what comes behind the prompt. */
function different(vocab: Vocab, cases: readonly Case[]) {
  return cases.flatMap(({ ids, prompt, start, text }) => {
    const ours = decode(vocab, ids);
    const rest = decode(vocab, ids.slice(prompt), { continues: start !== "" });
    const hasRest = text.startsWith(start) && (start !== "" || prompt === 0);
    return ours === text && (!hasRest || start + rest === text) ? [] : [{ ids, prompt, text, ours, rest }];
  });
}

function sentencePieceVocab(name: string): Vocab {
  const bytes = Buffer.from(readGolden<{ model: string }>(name).model, "base64");
  return vocabFromSentencePiece(name, readSentencePiece(new BufferSource(name, bytes)), NO_CONFIG);
}

describe("texts of the reference decoders", () => {
  const level = readGolden<{ model: object }>("byte-level");
  it.each<[string, () => Vocab]>([
    ["tiny-llama", () => readVocab(TINY_LLAMA, { vocabSize: 2048 })],
    ["byte-level", () => vocabFromTokenizerJson("x", { pre_tokenizer: { type: "ByteLevel" }, model: level.model }, NO_CONFIG)],
    ["unigram-bytes", () => sentencePieceVocab("unigram-bytes")],
    ["unigram-unknown", () => sentencePieceVocab("unigram-unknown")],
  ])("%s", (name, vocab) => {
    expect(golden[name]).toHaveLength(150);
    expect(different(vocab(), golden[name]!)).toEqual([]);
  }); // biome-ignore format: rows

  const folder = (name: string, vocabSize: number) =>
    readVocab(`${SHARED}/data/tokenizers/${name}`, { vocabSize });
  const internlm = `${SHARED}/data/tokenizers/internlm/V7_sft.model`;
  it.skipIf(!SHARED).each<[string, () => Vocab]>([
    ["llama2", () => folder("llama2", 32000)],
    ["llama2", () => readLlama2cVocab(`${SHARED}/data/tokenizers/llama2/model.bin`, 32000)],
    ["internlm", () => vocabFromSentencePiece(internlm, withFile(internlm, readSentencePiece), NO_CONFIG)],
    ["chatglm-6b", () => folder("chatglm-6b", 130528)],
    ["falcon", () => folder("falcon-tokenizer", 65024)],
    ["gpt2", () => folder("gpt2", 50257)],
    ["llama3", () => folder("llama3", 128256)],
    ["qwen", () => folder("qwen", 151936)],
  ])("%s (LLQ_SHARED)", { timeout: 60_000 }, (name, vocab) => {
    expect(different(vocab(), golden[name]!)).toEqual([]);
  });
});

describe("text as it comes", () => {
  const { BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED } = TOKEN_TYPE;
  const byte = (value: number) => [`<0x${value.toString(16).toUpperCase()}>`, BYTE] as const;
  const rows = [["<unk>", UNKNOWN], ["<s>", CONTROL], ["▁", NORMAL], ["▁a", NORMAL], ["<n>", USER_DEFINED], byte(0xe2), byte(0x82), byte(0xac), byte(0xff)] as const; // biome-ignore format: one line
  const vocab: Vocab = {
    kind: "spm",
    tokens: rows.map(([text]) => text),
    types: rows.map(([, type]) => type),
    pre: "default",
    special: { bos: 1, unk: 0 },
    addBos: true,
    addEos: false,
    addSpacePrefix: true,
    removeExtraWhitespaces: false,
    chatTemplates: new Map(),
  };
  const pieces = (ids: number[], options?: DetokenizerOptions) => {
    const detokenizer = new Detokenizer(vocab, options);
    return [...ids.map((id) => detokenizer.push(id)), detokenizer.end()];
  };

  it("waits for the end of a character", () => {
    expect(pieces([5, 6, 7, 3])).toEqual(["", "", "€", " a", ""]);
  });
  it("gives up a character that does not end", () => {
    expect(pieces([5, 6, 3])).toEqual(["", "", "\ufffd a", ""]);
    expect(pieces([8, 5, 6])).toEqual(["\ufffd", "", "", "\ufffd"]);
  });
  it("drops the space that encoding puts in front, once", () => {
    expect(pieces([1, 3, 3, 4, 3])).toEqual(["", "a", " a", "<n>", " a", ""]);
    expect(pieces([2, 3])).toEqual(["", " a", ""]);
    expect(pieces([3], { continues: true })).toEqual([" a", ""]);
  });
  it("spells control tokens when asked", () => {
    expect(pieces([1, 3, 0, 1], { special: true })).toEqual(["<s>", " a", "<unk>", "<s>", ""]);
  });
  it("refuses ids that are no token", () => {
    for (const id of [-1, 9, 1.5]) {
      expect(() => new Detokenizer(vocab).push(id)).toThrow(`token ${id} is not in a vocabulary of 9`);
    }
  });
});
