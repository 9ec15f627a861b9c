import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { withFile } from "../../formats/bytes.js";
import { parseJson } from "../../formats/json.js";
import { readSentencePiece } from "../../formats/sentencepiece/sentencepiece.js";
import { NO_CONFIG, readTokenizerConfig } from "../../src/tokenizer/hf/hf-config.js";
import { vocabFromTokenizerJson } from "../../src/tokenizer/hf/hf-vocab.js";
import { vocabFromSentencePiece } from "../../src/tokenizer/spm/sentencepiece.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { TOKEN_TYPE } from "../../src/tokenizer/types.js";
import { readVocab, type Vocab, vocabFromMetadata, vocabToMetadata } from "../../src/tokenizer/vocab.js";
import {
  disagreements,
  ggufVocab,
  goldenIds,
  lossy,
  RANDOM_UNICODE,
  SHARED,
  STRINGS,
} from "../support/tokenizer-helpers.js";

const TINY = fileURLToPath(new URL("../../samples/tiny-llama", import.meta.url));
const TEXT = readFileSync(new URL("../../samples/text.txt", import.meta.url), "utf8");

const tinyModel = readVocab(TINY, { vocabSize: 2048 });
const tinyJson = vocabFromTokenizerJson(
  "tokenizer.json",
  parseJson("tokenizer.json", readFileSync(`${TINY}/tokenizer.json`)),
  readTokenizerConfig(TINY),
  2048,
);

describe.each([
  ["tokenizer.model", tinyModel],
  ["tokenizer.json", tinyJson],
  ["GGUF metadata", vocabFromMetadata("x.gguf", vocabToMetadata(tinyModel))],
])("tiny-llama from %s", (_, vocab) => {
  // A tokenizer.json puts no space before one (tokenizer-rules.test.ts); sentencepiece and readers of GGUF do.
  const tokenizer = createTokenizer({ ...vocab, rules: undefined });

  it("gives sentencepiece's ids", () => {
    expect(disagreements(tokenizer, goldenIds("tiny-llama"))).toEqual([]);
  });

  it("gives the text back, where it has no ▁ of its own", () => {
    const strings = [...STRINGS, ...RANDOM_UNICODE].filter((string) => !string.includes("▁"));
    expect(lossy(tokenizer, strings)).toEqual([]);
    expect(tokenizer.decode(tokenizer.encode(TEXT))).toBe(TEXT);
  });

  it("puts bos in front unless told otherwise", () => {
    expect([...tokenizer.encode("")]).toEqual([1]);
    expect([...tokenizer.encode("", { addBos: false })]).toEqual([]);
  });

  it("refuses ids that are no token", () => {
    for (const id of [-1, 2048, 4294967295]) {
      expect(() => tokenizer.decode([id])).toThrow(`token ${id} is not in a vocabulary of 2048`);
    }
  });
});

describe("an spm vocabulary made by hand", () => {
  const { NORMAL, UNKNOWN, CONTROL, USER_DEFINED } = TOKEN_TYPE;
  // biome-ignore format: three in a row
  const rows: [string, number, number][] = [
    ["<unk>", UNKNOWN, 0],
    ["<s>", CONTROL, 0],
    ["▁", NORMAL, -9],
    ["a", NORMAL, -9],
    ["b", NORMAL, -9],
    ["c", NORMAL, -9],
    ["ab", NORMAL, -2],
    ["bc", NORMAL, -1],
    ["aa", NORMAL, -3],
    ["<x>", USER_DEFINED, 0],
    ["<x><x>", USER_DEFINED, 0],
    ["<", NORMAL, -9],
    ["s>", NORMAL, -3],
    ["s", NORMAL, -9],
    [">", NORMAL, -9],
  ];
  const vocab: Vocab = {
    ...tinyModel,
    tokens: rows.map(([text]) => text),
    types: rows.map(([, type]) => type),
    scores: Float32Array.from(rows, ([, , score]) => score),
    special: { unk: 0, bos: 1 },
    addBos: false,
    addSpacePrefix: false,
  };
  const texts = (text: string, changes: Partial<Vocab> = {}) =>
    [...createTokenizer({ ...vocab, rules: undefined, ...changes }).encode(text)].map(
      (id) => vocab.tokens[id],
    );

  it("joins the highest score first", () => {
    expect(texts("abc")).toEqual(["a", "bc"]);
  });
  it("joins the leftmost of equal scores first", () => {
    expect(texts("aaa")).toEqual(["aa", "a"]);
    expect(texts("aaaaa")).toEqual(["aa", "aa", "a"]);
  });
  it("makes one unknown token of neighbouring unknown characters", () => {
    expect(texts("aéèb日本c")).toEqual(["a", "<unk>", "b", "<unk>", "c"]);
  });
  it("does not make control tokens from text", () => {
    expect(texts("<s>")).toEqual(["<", "s>"]);
  });
  it("takes user-defined tokens whole, the longest first", () => {
    expect(texts("a<x>b<x><x><x>")).toEqual(["a", "<x>", "b", "<x><x>", "<x>"]);
  });
  it("prefixes the text behind a user-defined token again, as llama.cpp does", () => {
    expect(texts("a<x>b", { addSpacePrefix: true })).toEqual(["▁", "a", "<x>", "▁", "b"]);
  });
  it("drops superfluous spaces when asked to", () => {
    expect(texts("  a   b ", { removeExtraWhitespaces: true })).toEqual(["a", "▁", "b"]);
  });
  it("needs a way to encode any character", () => {
    expect(() => texts("a", { special: {} })).toThrow("neither the 256 byte tokens nor an unknown token");
  });
});

describe.skipIf(!SHARED)("published spm vocabularies (LLQ_SHARED)", { timeout: 60_000 }, () => {
  const text = (path: string) => readFileSync(`${SHARED}/data/${path}`, "utf8");
  const ids = (path: string) => JSON.parse(text(path)) as number[];
  const stories = "eval/tinystories/tinystories-train-head.317stories.txt";

  it("llama2: tokenizer.model and GGUF give sentencepiece's ids", () => {
    const path = `${SHARED}/data/tokenizers/llama2/tokenizer.model`;
    const fromModel = vocabFromSentencePiece(path, withFile(path, readSentencePiece), NO_CONFIG);
    const fromGguf = ggufVocab(`${SHARED}/data/tokenizers/llamacpp-vocabs/ggml-vocab-llama-spm.gguf`);
    for (const vocab of [fromModel, fromGguf]) {
      expect(disagreements(createTokenizer(vocab), goldenIds("llama2"))).toEqual([]);
    }
  });

  it("TinyStories-656K: llama.cpp's ids, and the types and the order of merging of its GGUF", () => {
    const vocab = readVocab(`${SHARED}/data/weights/TinyStories-656K-hf`, { vocabSize: 2048 });
    const gguf = ggufVocab(`${SHARED}/data/weights/TinyStories-656K-wide256-gguf/model-f32.gguf`);
    const charset = text("eval/tinystories/tinystories-train-head.656K-charset.txt");
    expect(vocab.addSpacePrefix).toBe(true);
    expect(vocab.tokens).toEqual(gguf.tokens);
    expect(vocab.types).toEqual(gguf.types);
    expect(createTokenizer(vocab).encode(charset)).toEqual(createTokenizer(gguf).encode(charset));
    const unprefixed = createTokenizer({ ...vocab, addSpacePrefix: false });
    expect([...unprefixed.encode(charset)]).toEqual(
      ids("golden/TinyStories-656K.charset-text.llamacpp-ids.json"),
    );
  });

  it("stories260K: sentencepiece's ids, once told what its GGUF leaves out", () => {
    const vocab = ggufVocab(`${SHARED}/data/weights/stories260K-gguf/stories260K.gguf`);
    const tokenizer = createTokenizer({ ...vocab, removeExtraWhitespaces: true });
    expect([...tokenizer.encode(text(stories))]).toEqual(
      ids("golden/stories260K.tinystories-train-head.317stories.ids.json"),
    );
  });
});
