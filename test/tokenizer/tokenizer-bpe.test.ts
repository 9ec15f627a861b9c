import { describe, expect, it } from "vitest";
import { NO_CONFIG } from "../../src/tokenizer/hf/hf-config.js";
import { vocabFromTokenizerFile } from "../../src/tokenizer/hf/hf-file.js";
import { vocabFromTokenizerJson } from "../../src/tokenizer/hf/hf-vocab.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import type { Tokenizer } from "../../src/tokenizer/types.js";
import { TOKEN_TYPE } from "../../src/tokenizer/types.js";
import { type Vocab, vocabFromMetadata, vocabToMetadata } from "../../src/tokenizer/vocab.js";
import { createHfTokenizer, cutAtLines } from "../support/hf-library.js";
import { disagreements, lossy, RANDOM_UNICODE, readGolden, STRINGS } from "../support/tokenizer-helpers.js";

/** One trained vocabulary and the ids Hugging Face's tokenizers gives with each published pre-tokenizer. */
interface ByteLevel {
  readonly model: Readonly<Record<string, unknown>>;
  readonly pipelines: Readonly<
    Record<
      string,
      {
        readonly normalizer: unknown;
        readonly pre_tokenizer: unknown;
        readonly ignore_merges: boolean;
        /** Ids of every so manieth string. */
        readonly every: number;
        readonly ids: readonly (readonly number[])[];
      }
    >
  >;
}

const golden = readGolden<ByteLevel>("byte-level");

function tokenizerJson(name: string): object {
  const { normalizer, pre_tokenizer, ignore_merges } = golden.pipelines[name]!;
  return {
    normalizer,
    pre_tokenizer,
    decoder: { type: "ByteLevel" },
    model: { ...golden.model, ignore_merges },
  };
}

/** The same as the tokenizers library writes it: tokens in order of their ids, where JSON.stringify has digits first. */
function tokenizerFile(name: string): Uint8Array {
  const tokens = Object.entries(golden.model["vocab"] as Record<string, number>).sort(
    ([, a], [, b]) => a - b,
  );
  const vocab = tokens.map(([text, id]) => `${JSON.stringify(text)}:${id}`).join();
  const json = {
    ...tokenizerJson(name),
    model: { ...golden.model, ignore_merges: golden.pipelines[name]!.ignore_merges, vocab: "vocab" },
  };
  return Buffer.from(JSON.stringify(json).replace('"vocab":"vocab"', () => `"vocab":{${vocab}}`));
}

describe.each(Object.entries(golden.pipelines))(
  "pre-tokenizer %s",
  { timeout: 60_000 },
  (name, { every, ids }) => {
    const vocab = vocabFromTokenizerJson("tokenizer.json", tokenizerJson(name), NO_CONFIG);
    const strings = STRINGS.filter((_, i) => i % every === 0);

    it("is recognized", () => {
      expect(vocab.pre).toBe(name);
    });
    it("gives the ids of Hugging Face's tokenizers", () => {
      expect(disagreements(createTokenizer(vocab), ids, strings)).toEqual([]);
    });
    it("gives the same ids when its tables are read from bytes", () => {
      const scanned = vocabFromTokenizerFile("tokenizer.json", tokenizerFile(name), NO_CONFIG);
      expect(scanned.listed).toBeDefined();
      expect(disagreements(createTokenizer(scanned), ids, strings)).toEqual([]);
    });
    it("gives the text back, in Unicode's form C where it asks for it", () => {
      const composed = strings.filter((string) => string === string.normalize("NFC"));
      const whole = name === "mpt" || name === "qwen2" ? composed : strings;
      expect(lossy(createTokenizer(vocab), whole)).toEqual([]);
    });
    it("gives the same ids when the text is cut at lines", () => {
      const tokenizer = createTokenizer(vocab);
      const text = strings.join("\n");
      const pieces = [...cutAtLines(text, 100)];
      expect(pieces.length).toBeGreaterThan(20);
      expect(pieces.join("")).toBe(text);
      expect(pieces.flatMap((piece) => [...tokenizer.encode(piece)])).toEqual([...tokenizer.encode(text)]);
    });
    it("is the same after a way through GGUF's metadata", () => {
      const again = vocabFromMetadata("x.gguf", vocabToMetadata(vocab));
      expect(again).toEqual({ ...vocab, precompiledCharsmap: undefined, rules: undefined });
    });
  },
);

it("recognizes falcon's pre-tokenizer", () => {
  const pretokenizers = [
    { type: "Punctuation", behavior: "Contiguous" },
    { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    { type: "Digits", individual_digits: false },
    { type: "Split", pattern: { Regex: "[0-9][0-9][0-9]" }, behavior: "Isolated", invert: false },
  ];
  const json = { model: golden.model, pre_tokenizer: { type: "Sequence", pretokenizers } };
  expect(vocabFromTokenizerJson("tokenizer.json", json, NO_CONFIG).pre).toBe("falcon");
});

describe("Hugging Face's library", { timeout: 60_000 }, () => {
  const text = STRINGS.join("\n");
  const both = (name: string): Tokenizer[] => {
    const json = tokenizerJson(name);
    const vocab = vocabFromTokenizerJson("tokenizer.json", json, NO_CONFIG);
    return [createHfTokenizer("tokenizer.json", json, vocab), createTokenizer(vocab)];
  };

  it.each(["gpt-2", "llama-bpe", "qwen2"])("agrees with our encoder on %s", (name) => {
    const [library, ours] = both(name);
    const known = name === "gpt-2" ? text.replace(/[\u0085\ufeff]/g, "") : text;
    expect(library!.encode(known)).toEqual(ours!.encode(known));
  });

  it("takes JavaScript's idea of white space for GPT-2's; when it no longer does, say so here", () => {
    const [library, ours] = both("gpt-2");
    expect(library!.encode("a\u0085\u0085b")).not.toEqual(ours!.encode("a\u0085\u0085b"));
  });

  it("is not asked where it is slow", () => {
    const vocab: Vocab = { ...vocabFromTokenizerJson("x", tokenizerJson("gpt-2"), NO_CONFIG), kind: "spm" };
    expect(() => createHfTokenizer("x", {}, vocab)).toThrow("not byte-level BPE");
  });
});

describe("byte-level BPE", () => {
  const vocab = vocabFromTokenizerJson("x", tokenizerJson("gpt-2"), NO_CONFIG);

  it("gives any characters back", () => {
    expect(lossy(createTokenizer(vocab), RANDOM_UNICODE)).toEqual([]);
  });

  it("takes user-defined tokens whole, and does not make control tokens from text", () => {
    const { USER_DEFINED, CONTROL } = TOKEN_TYPE;
    const size = vocab.tokens.length;
    const tokenizer = createTokenizer({
      ...vocab,
      tokens: [...vocab.tokens, "<a>", "<|b|>", "  "],
      types: [...vocab.types, USER_DEFINED, CONTROL, USER_DEFINED],
      special: { bos: size + 1 },
      addBos: true,
      rules: undefined,
    });
    const ids = [...tokenizer.encode("x<a>y<|b|>   ")];
    expect(ids[0]).toBe(size + 1);
    expect(ids.filter((id) => id >= size)).toEqual([size + 1, size, size + 2]);
    expect(tokenizer.decode(ids)).toBe("x<a>y<|b|>   ");
  });

  it("names the nearest when a pre-tokenizer in GGUF is not known", () => {
    expect(() => createTokenizer({ ...vocab, pre: "qwen3" })).toThrow(
      expect.objectContaining({
        code: "unsupported",
        message: "pre-tokenizer qwen3 is not known",
        hint: "the nearest known is qwen2",
      }),
    );
  });

  it("names the expressions and the nearest when those of a tokenizer.json are not known", () => {
    const Regex = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    const split = { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false };
    const json = { model: golden.model, pre_tokenizer: split, decoder: { type: "ByteLevel" } };
    expect(() => vocabFromTokenizerJson("tokenizer.json", json, NO_CONFIG)).toThrow(
      expect.objectContaining({
        code: "unsupported",
        message: `tokenizer.json: unknown pre-tokenizer, which splits by ${Regex}`,
        hint: expect.stringContaining("the nearest known is gpt-2"),
      }),
    );
  });

  it.each([
    ["normalizer", { normalizer: { type: "Lowercase" } }],
    ["pre-tokenizer", { pre_tokenizer: { type: "ByteLevel", add_prefix_space: true } }],
    ["pre-tokenizer", { pre_tokenizer: { type: "Whitespace" }, decoder: { type: "ByteLevel" } }],
  ])("refuses a %s it cannot reproduce", (part, change) => {
    const json = { ...tokenizerJson("gpt-2"), ...change };
    expect(() => vocabFromTokenizerJson("tokenizer.json", json, NO_CONFIG)).toThrow(
      expect.objectContaining({
        code: "unsupported",
        message: expect.stringContaining(`tokenizer.json: ${part}`),
      }),
    );
  });
});
