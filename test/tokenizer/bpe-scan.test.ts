import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseJson } from "../../formats/json.js";
import { scanBpe } from "../../src/tokenizer/hf/bpe-scan.js";
import { NO_CONFIG, type TokenizerConfig } from "../../src/tokenizer/hf/hf-config.js";
import { vocabFromTokenizerFile } from "../../src/tokenizer/hf/hf-file.js";
import { vocabFromTokenizerJson } from "../../src/tokenizer/hf/hf-vocab.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import type { Vocab } from "../../src/tokenizer/types.js";
import { vocabToMetadata } from "../../src/tokenizer/vocab.js";
import { refusal } from "../support/build/build.js";
import { damaged } from "../support/damage.js";
import { Random } from "../support/random.js";

fc.configureGlobal({ seed: 18, numRuns: 300 });

type Merge = string | readonly string[];

interface Parts {
  readonly vocab: object;
  readonly merges: readonly Merge[];
  readonly added?: readonly object[];
  readonly model?: object;
}

const added = (id: number, content: string, special = true) => ({ id, content, special });

function fileOf({ vocab, merges, added = [], model = {} }: Parts): object {
  return {
    added_tokens: added,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", unk_token: null, ...model, vocab, merges },
  };
}

const bytesOf = (parts: Parts, spaces = 0) => Buffer.from(JSON.stringify(fileOf(parts), null, spaces));

const VOCAB = { a: 0, b: 1, ab: 2, '"': 3, '"a': 4, Ġ: 5, Ġa: 6, aab: 7 };
const MERGES: readonly Merge[] = ["a b", '" a', ["Ġ", "a"], "a ab"];
const TEXT = 'a ab "ab aab "a b <x>ab[PAD9]';

/** What there is to say of a vocabulary, and what it does. */
function described(vocab: Vocab): object {
  const { tokens, types, merges, special, rules, kind, pre, addBos, addEos } = vocab;
  const fields = [...vocabToMetadata(vocab)].map(([key, { value }]) => [key, value]);
  const ids = [...createTokenizer(vocab).encode(TEXT)];
  return { tokens, types: [...types], merges, special, rules, kind, pre, addBos, addEos, fields, ids };
}

/** The same of what was read as a whole by JSON.parse. */
function expectSame(bytes: Uint8Array, rows?: number, config: TokenizerConfig = NO_CONFIG): void {
  const whole = vocabFromTokenizerJson("x", parseJson("x", bytes), config, rows);
  expect(described(vocabFromTokenizerFile("x", bytes, config, rows))).toEqual(described(whole));
}

/** What is refused, and with which words; else what became of it. */
function outcome(read: () => Vocab): unknown {
  let vocab: object | undefined;
  const why = refusal(() => {
    vocab = described(read());
  });
  return vocab ?? why;
}

const isListed = (bytes: Uint8Array, rows?: number): boolean =>
  vocabFromTokenizerFile("x", bytes, NO_CONFIG, rows).listed !== undefined;

test.each([0, 1, 4])("merges as texts and as pairs, %i spaces", (spaces: number) => {
  const bytes = bytesOf({ vocab: VOCAB, merges: MERGES }, spaces);
  expect(Buffer.from(scanBpe(bytes)!.rest).includes("aab")).toBe(false);
  expect(isListed(bytes)).toBe(true);
  expectSame(bytes);
});

test("any vocabulary reads as JSON.parse has it", () => {
  const letter = fc.constantFrom("a", "b", '"', "\\", "/", "\n", "é", "Ġ", "€", "😀", "\ud800", "\u0000");
  const parts = fc.record({
    letters: fc.uniqueArray(letter, { minLength: 1, maxLength: 6 }),
    picks: fc.array(fc.tuple(fc.nat(), fc.nat(), fc.boolean()), { minLength: 1, maxLength: 30 }),
    pads: fc.nat(3),
    spaces: fc.constantFrom(0, 2),
  });
  const listed = { count: 0 };
  fc.assert(
    fc.property(parts, ({ letters, picks, pads, spaces }) => {
      const tokens: string[] = [...letters];
      const merges: Merge[] = [];
      for (const [i, j, isPair] of picks) {
        const [left, right] = [tokens[i % tokens.length]!, tokens[j % tokens.length]!];
        if (!tokens.includes(left + right)) tokens.push(left + right);
        else if (tokens.at(-1) !== left + right) continue; // those of one token stand together
        merges.push(isPair ? [left, right] : `${left} ${right}`);
      }
      if (merges.length === 0) return;
      // JSON.stringify puts keys that are numbers first: there are none
      const vocab = Object.fromEntries(tokens.map((text, id) => [text, id]));
      const special = [added(tokens.length, "<s>"), added(tokens.length + 1, "<x>", false)];
      const bytes = bytesOf({ vocab, merges, added: special }, spaces);
      if (isListed(bytes)) listed.count++;
      expectSame(bytes, tokens.length + 2 + pads);
    }),
  );
  expect(listed.count).toBeGreaterThan(250);
});

test("an added token in the place of another, or of its text", () => {
  for (const [id, content] of [
    [2, "ab"],
    [2, "xy"],
    [2, "▁"],
    [8, "ab"],
    [8, "[PAD9]"],
    [20, "z"],
  ] as const) {
    for (const special of [true, false]) {
      const bytes = bytesOf({ vocab: VOCAB, merges: MERGES, added: [added(id, content, special)] });
      expectSame(bytes);
      expectSame(bytes, 12, { ...NO_CONFIG, texts: new Map([["bos", content]]), addBos: true });
    }
  }
});

test("an escaped key is the key it spells, whichever it is", () => {
  const text = JSON.stringify(fileOf({ vocab: VOCAB, merges: MERGES })).replace('"model"', '"mod\\u0065l"');
  expect(isListed(Buffer.from(text))).toBe(true);
  expectSame(Buffer.from(text));
});

const { a, b, ab, ...others } = VOCAB;
const odd: [string, string | Parts][] = [
  ["ids out of order", { vocab: { b, a, ab, ...others }, merges: MERGES }],
  ["an id left out", { vocab: { ...VOCAB, aabb: 9 }, merges: MERGES }],
  ["a token of a space", { vocab: { ...VOCAB, " ": 8 }, merges: MERGES }],
  ["merges not in order of what they make", { vocab: VOCAB, merges: [...MERGES].reverse() }],
  ["a merge of what is no token, that makes one", { vocab: VOCAB, merges: ["a b", "aa b"] }],
  ["a merge that makes no token", { vocab: VOCAB, merges: ["a b", "b a"] }],
  ["no merges", { vocab: VOCAB, merges: [] }],
  ["no tokens", { vocab: {}, merges: [] }],
  ["words", { vocab: VOCAB, merges: ["a b"], model: { continuing_subword_prefix: "##" } }],
  ["a merge of three", { vocab: VOCAB, merges: ["a b a"] }],
  ["a merge of one", { vocab: VOCAB, merges: ["ab"] }],
  ["a merge of nothing and something", { vocab: VOCAB, merges: [" ab"] }],
  ["a merge of something and nothing", { vocab: VOCAB, merges: ["ab "] }],
  ["a pair of nothing and something", { vocab: VOCAB, merges: [["", "ab"]] }],
  ["a pair of something and nothing", { vocab: VOCAB, merges: [["ab", ""]] }],
  ["three", { vocab: VOCAB, merges: [["a", "a", "b"]] }],
  ["one", { vocab: VOCAB, merges: [["ab"]] }],
  ["spaces in a pair", { vocab: VOCAB, merges: [["a b", "a"]] }],
  ["an id of text", JSON.stringify(fileOf({ vocab: { a: "0" }, merges: MERGES }))],
  ["a token twice", raw('{"a": 0, "b": 1, "a": 2, "ab": 3}', '["a b"]')],
  ["an id with a zero in front", raw('{"a": 00, "b": 1, "ab": 2}', '["a b"]')],
  ["an id with a fraction", raw('{"a": 0, "b": 1.0, "ab": 2}', '["a b"]')],
  ["a comma too many among tokens", raw('{"a": 0, "b": 1, "ab": 2,}', '["a b"]')],
  ["a comma too many among merges", raw('{"a": 0, "b": 1, "ab": 2}', '["a b",]')],
  ["tokens that do not end", '{"model": {"type": "BPE", "vocab": {"a": 0'],
  ["something behind the end", `${raw('{"a": 0, "b": 1, "ab": 2}', '["a b"]')}]`],
  [
    "no comma behind the tokens",
    raw('{"a": 0, "b": 1, "ab": 2}', '["a b"]').replace(',"merges"', '"merges"'),
  ],
  ["two vocabularies", raw('{"a": 0, "b": 1, "ab": 2}, "vocab": {"a": 0}', '["a b"]')],
  ["two lists of merges", raw('{"a": 0, "b": 1, "ab": 2}', '["a b"], "merges": []')],
  ["two models", raw('{"a": 0, "b": 1, "ab": 2}', '["a b"]').replace("{", '{"model":{"type":"Unigram"},')],
  ["no model of the two", raw('{"a": 0, "b": 1, "ab": 2}', '["a b"]').replace(/}$/, ',"model":null}')],
  ["a mark of byte order", `\ufeff${raw('{"a": 0, "b": 1, "ab": 2}', '["a b"]')}`],
  ["a text", '"model"'],
  ["nothing", ""],
];

function raw(vocab: string, merges: string): string {
  return JSON.stringify(fileOf({ vocab: {}, merges: [] }))
    .replace('"vocab":{}', `"vocab":${vocab}`)
    .replace('"merges":[]', `"merges":${merges}`);
}

test.each(odd)("%s: as JSON.parse has it, or refused in the same words", (_, file) => {
  const bytes = typeof file === "string" ? Buffer.from(file) : bytesOf(file);
  const whole = outcome(() => vocabFromTokenizerJson("x", parseJson("x", bytes), NO_CONFIG));
  expect(outcome(() => vocabFromTokenizerFile("x", bytes, NO_CONFIG))).toEqual(whole);
});

test("merges before tokens, and more ways to make one token than are gone through", () => {
  const [first, second] = ["merges", "vocab"];
  const before = fileOf({ vocab: {}, merges: [], model: { [first!]: MERGES, [second!]: VOCAB } }) as {
    model: { merges: unknown; vocab: unknown };
  };
  before.model.merges = MERGES;
  before.model.vocab = VOCAB;
  expectSame(Buffer.from(JSON.stringify(before)));
  expect(scanBpe(Buffer.from(JSON.stringify(before)))).toBeUndefined();
  const again = (count: number) => bytesOf({ vocab: VOCAB, merges: Array(count).fill("a b") });
  expect(scanBpe(again(255))).toBeDefined();
  expect(scanBpe(again(256))).toBeUndefined();
  expectSame(again(255));
  expectSame(again(256));
});

test("2000 damaged files come to what JSON.parse makes of them", () => {
  const file = { vocab: VOCAB, merges: MERGES, added: [added(8, "<s>"), added(9, "<x>", false)] };
  const bytes = Uint8Array.from(bytesOf(file)); // of which slice is a copy
  const counts = { refused: 0, listed: 0 };
  for (let seed = 0; seed < 2000; seed++) {
    const broken = damaged({ bytes, renumbered: () => bytes.slice() }, new Random(seed));
    const read = outcome(() => vocabFromTokenizerFile("x", broken, NO_CONFIG, 12));
    expect(read, `seed ${seed}`).toEqual(
      outcome(() => vocabFromTokenizerJson("x", parseJson("x", broken), NO_CONFIG, 12)),
    );
    if (typeof read === "string") counts.refused++;
    else if (isListed(broken, 12)) counts.listed++;
  }
  expect(counts.refused).toBeGreaterThan(300);
  expect(counts.listed).toBeGreaterThan(300);
});
