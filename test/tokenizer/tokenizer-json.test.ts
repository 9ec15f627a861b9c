import { describe, expect, test } from "vitest";
import { parseJson } from "../../formats/json.js";
import { vocabFromTiktoken } from "../../src/tokenizer/bpe/tiktoken.js";
import { NO_CONFIG } from "../../src/tokenizer/hf/hf-config.js";
import { vocabFromTokenizerJson } from "../../src/tokenizer/hf/hf-vocab.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { refusal } from "../support/build/build.js";
import { attack } from "../support/damage.js";
import { STRINGS } from "../support/tokenizer-helpers.js";
import { charsmap, TARGETS } from "../targets.js";

test.each(TARGETS.filter(({ name }) => name === "tokenizer.json"))(
  "3000 damaged files",
  (target) => {
    const { accepted, refused } = attack(target, 3000, 1);
    expect(accepted).toBeGreaterThan(300);
    expect(refused).toBeGreaterThan(300);
  },
  120_000,
);

describe("tokenizer.json refused", () => {
  const bpe = { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] };
  const level = { type: "ByteLevel" };
  const words = { type: "Metaspace", replacement: "▁", split: false };
  const cases: [string, unknown, string][] = [
    [
      "a number",
      1,
      "bad-input: x.json: not a tokenizer.json: the whole: Invalid type: Expected Object but received 1",
    ],
    [
      "no model",
      {},
      'bad-input: x.json: not a tokenizer.json: model: Invalid key: Expected "model" but received undefined',
    ],
    [
      "another kind of model",
      { model: { type: "WordPiece", vocab: {} } },
      "unsupported: x.json: models of type WordPiece are not supported",
    ],
    ["no tokens", { model: { ...bpe, vocab: null } }, "bad-input: x.json: no model.vocab"],
    [
      "an id of text",
      { model: { ...bpe, vocab: { a: "0" } } },
      'bad-input: x.json: token "a" has id 0, which is no id or another token\'s',
    ],
    [
      "a negative id",
      { model: { ...bpe, vocab: { a: -1 } } },
      'bad-input: x.json: token "a" has id -1, which is no id or another token\'s',
    ],
    [
      "two tokens of one id",
      { model: { ...bpe, vocab: { a: 0, b: 0 } } },
      'bad-input: x.json: token "b" has id 0, which is no id or another token\'s',
    ],
    [
      "an id too large to be a row",
      { model: { ...bpe, vocab: { a: 2 ** 30 } } },
      "bad-input: x.json: 1073741825 tokens, but the embedding of the model has 8 rows",
    ],
    ["no merges", { model: { ...bpe, merges: undefined } }, "bad-input: x.json: no model.merges"],
    [
      "a merge of three",
      { model: { ...bpe, merges: ["a b c"] } },
      'bad-input: x.json: merge 0 is not a pair: "a b c"',
    ],
    [
      "a merge of numbers",
      { model: { ...bpe, merges: [[0, 1]] } },
      "bad-input: x.json: merge 0 is not a pair: [0,1]",
    ],
    // The tokenizers library refuses it too: Token `b` out of vocabulary.
    [
      "a merge of what is no token",
      { pre_tokenizer: words, model: { ...bpe, byte_fallback: true, vocab: { a: 0, ab: 2 } } },
      'bad-input: x.json: merge 0 is of "b", which is no token',
    ],
    [
      "a unigram model of pairs the wrong way",
      { model: { type: "Unigram", vocab: [[0, "a"]] } },
      "bad-input: x.json: model.vocab is not a list of tokens and scores",
    ],
    [
      "more tokens than rows",
      { model: { ...bpe, vocab: Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`t${i}`, i])) } },
      "bad-input: x.json: 9 tokens, but the embedding of the model has 8 rows",
    ],
    [
      "words cut at spaces, tokens not",
      {
        pre_tokenizer: { type: "Metaspace", replacement: "▁" },
        model: { ...bpe, vocab: { "a▁b": 0 }, merges: [] },
      },
      'unsupported: x.json: pre-tokenizer Metaspace {"replacement":"▁"} is not supported',
    ],
    [
      "prefixes inside words",
      { pre_tokenizer: level, model: { ...bpe, continuing_subword_prefix: "##" } },
      "unsupported: x.json: continuing_subword_prefix ## is not supported",
    ],
    [
      "marks at the end of words",
      { pre_tokenizer: level, model: { ...bpe, end_of_word_suffix: "</w>" } },
      "unsupported: x.json: end_of_word_suffix </w> is not supported",
    ],
  ];
  test.each(cases)("%s", (_, json, message) => {
    expect(refusal(() => vocabFromTokenizerJson("x.json", json, NO_CONFIG, 8))).toBe(message);
  });

  test("an id that would need a table of gigabytes", () => {
    const json = { model: { ...bpe, vocab: { a: 2 ** 30 } } };
    expect(refusal(() => vocabFromTokenizerJson("x.json", json, NO_CONFIG))).toBe(
      "bad-input: x.json: a vocabulary of 1073741825 tokens; at most 2097152 are possible",
    );
  });

  test("nesting that would exhaust the stack", () => {
    const deep = `{"normalizer":${'{"type":"Sequence","normalizers":['.repeat(50_000)}`;
    expect(refusal(() => parseJson("x.json", Buffer.from(deep)))).toBe(
      "bad-input: x.json: not valid JSON: nested deeper than 100",
    );
  });
});

describe("rank files refused", () => {
  const cases: [string, string, string][] = [
    ["nothing", "", 'line 1 is not a token and rank 0: ""'],
    ["a rank left out", "IQ== 0\nIg== 2\n", 'line 2 is not a token and rank 1: "Ig== 2"'],
    ["a token that is not base64", "!!! 0\n", 'line 1 is not a token and rank 0: "!!! 0"'],
    ["no rank", "IQ==\n", 'line 1 is not a token and rank 0: "IQ=="'],
    ["JSON", "{}", 'line 1 is not a token and rank 0: "{}"'],
  ];
  test.each(cases)("%s", (_, text, message) => {
    expect(refusal(() => vocabFromTiktoken("x.tiktoken", text, NO_CONFIG))).toBe(
      `bad-input: x.tiktoken: ${message}`,
    );
  });

  test("tokens of no known model", () => {
    expect(refusal(() => vocabFromTiktoken("x.tiktoken", "IQ== 0\nIg== 1\n", NO_CONFIG))).toBe(
      "unsupported: x.tiktoken: 2 tokens are no known model's",
    );
  });
});

describe("tables of replacements refused", () => {
  const vocab = vocabFromTokenizerJson(
    "x.json",
    {
      model: {
        type: "Unigram",
        unk_id: 0,
        vocab: [
          ["<unk>", 0],
          ["a", -1],
        ],
      },
    },
    NO_CONFIG,
  );
  const good = charsmap(0x09, "a");
  const changed = (at: number, value: number) => {
    const copy = new Uint8Array(good);
    new DataView(copy.buffer).setUint32(at, value, true);
    return copy;
  };
  const cases: [string, Uint8Array][] = [
    ["nothing but a length", good.subarray(0, 4)],
    ["three bytes", good.subarray(0, 3)],
    ["a trie longer than the table", changed(0, good.length)],
    ["a trie of half numbers", changed(0, 2)],
    ["a trie cut short", changed(0, 1024)],
    ["children outside the trie", changed(4, 0x7fffffff)],
    ["a replacement outside the table", changed(4 + 4 * 512, 0x80000000 + 1000)],
    ["a replacement without an end", good.subarray(0, good.length - 1)],
    ["a replacement of gigabytes", charsmap(0x09, "a".repeat(1000))],
  ];
  test("the table itself is good", () => {
    const tokenizer = createTokenizer({ ...vocab, precompiledCharsmap: good });
    expect([...tokenizer.encode("\t")]).toEqual([1]);
  });
  test.each(cases)("%s", (_, precompiledCharsmap) => {
    const message =
      "bad-input: the tokenizer's table of character replacements (precompiled_charsmap) is damaged";
    expect(refusal(() => createTokenizer({ ...vocab, precompiledCharsmap }).encode("\t"))).toBe(message);
  });
  test("no text leads out of a good table", () => {
    const tokenizer = createTokenizer({ ...vocab, precompiledCharsmap: good });
    for (const string of STRINGS) tokenizer.encode(string);
  });
});
