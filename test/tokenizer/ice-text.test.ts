import { join } from "node:path";
import { expect, test } from "vitest";
import { BufferSource, withFile } from "../../formats/bytes.js";
import { readSentencePiece } from "../../formats/sentencepiece/sentencepiece.js";
import { NO_CONFIG } from "../../src/tokenizer/hf/hf-config.js";
import { vocabFromIceText } from "../../src/tokenizer/spm/ice-text.js";
import { vocabFromSentencePiece } from "../../src/tokenizer/spm/sentencepiece.js";
import { refusal } from "../support/build/build.js";
import { TINY_LLAMA } from "../support/scratch.js";
import { readGolden } from "../support/tokenizer-helpers.js";

// The published ice_text.model itself is tried in tokenizer-published.test.ts, where it is.

const golden = readGolden<{ model: string }>("unigram-bytes");
const model = readSentencePiece(new BufferSource("x", Buffer.from(golden.model, "base64")));

test("ChatGLM-6B's vocabulary has a beginning and no end, whatever the folder says, and spells white space", () => {
  const config = { ...NO_CONFIG, addBos: false, addEos: true };
  const vocab = vocabFromIceText("ice_text.model", model, config);
  expect(vocab).toMatchObject({ kind: "unigram", addBos: true, addEos: false, pre: "chatglm-6b" });
  expect(vocab.tokens).toEqual(vocabFromSentencePiece("x", model, NO_CONFIG).tokens);
});

test("the first release, and models of another kind, are refused", () => {
  expect(refusal(() => vocabFromIceText("ice_text.model", model, { ...NO_CONFIG, imageTokens: 20000 }))).toBe(
    "unsupported: ice_text.model: ids come after those of 20000 image tokens",
  );
  const bpe = withFile(join(TINY_LLAMA, "tokenizer.model"), readSentencePiece);
  expect(refusal(() => vocabFromIceText("ice_text.model", bpe, NO_CONFIG))).toBe(
    `unsupported: ice_text.model: a SentencePiece model of type ${bpe.modelType}`,
  );
});
