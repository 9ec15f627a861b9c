import { describe, expect, it } from "vitest";
import { BufferSource } from "../../formats/bytes.js";
import { readSentencePiece } from "../../formats/sentencepiece/sentencepiece.js";
import { NO_CONFIG } from "../../src/tokenizer/hf/hf-config.js";
import { vocabFromTokenizerJson } from "../../src/tokenizer/hf/hf-vocab.js";
import { vocabFromSentencePiece } from "../../src/tokenizer/spm/sentencepiece.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { vocabFromMetadata, vocabToMetadata } from "../../src/tokenizer/vocab.js";
import { disagreements, readGolden } from "../support/tokenizer-helpers.js";

describe.each(["unigram-bytes", "unigram-unknown"])("%s", (name) => {
  const golden = readGolden<{ model: string; ids: number[][] }>(name);
  const model = readSentencePiece(new BufferSource(name, Buffer.from(golden.model, "base64")));
  const vocab = vocabFromSentencePiece(name, model, NO_CONFIG);

  it("gives sentencepiece's ids", () => {
    expect(disagreements(createTokenizer(vocab), golden.ids)).toEqual([]);
  });

  it("gives them too after a way through GGUF's metadata", () => {
    const again = vocabFromMetadata("x.gguf", vocabToMetadata(vocab));
    expect(disagreements(createTokenizer(again), golden.ids)).toEqual([]);
  });

  it("gives them too after a way through tokenizer.json", () => {
    const json = {
      normalizer: {
        type: "Sequence",
        normalizers: [
          {
            type: "Precompiled",
            precompiled_charsmap: Buffer.from(model.precompiledCharsmap).toString("base64"),
          },
          ...(model.removeExtraWhitespaces
            ? [
                { type: "Strip", strip_left: true, strip_right: true },
                { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
              ]
            : []),
        ],
      },
      pre_tokenizer: {
        type: "Metaspace",
        replacement: "▁",
        prepend_scheme: model.addDummyPrefix ? "always" : "never",
        split: false,
      },
      added_tokens: [],
      model: {
        type: "Unigram",
        unk_id: model.unkId,
        byte_fallback: model.byteFallback,
        vocab: model.pieces.map(({ text, score }) => [text, score]),
      },
    };
    const again = vocabFromTokenizerJson("tokenizer.json", json, NO_CONFIG);
    expect({ ...again, types: vocab.types, special: vocab.special, rules: undefined }).toEqual(vocab);
  });
});
