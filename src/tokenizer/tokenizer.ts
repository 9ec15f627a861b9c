import { createBpeTokenizer } from "./bpe/bpe.js";
import { createSpmTokenizer } from "./spm/spm.js";
import { createUnigramTokenizer } from "./spm/unigram.js";
import type { Tokenizer, Vocab } from "./types.js";

/** @throws LlqError `bad-input` for a vocabulary that cannot encode, `unsupported` for an unknown pre-tokenizer */
export function createTokenizer(vocab: Vocab): Tokenizer {
  switch (vocab.kind) {
    case "spm":
    case "pieceBpe":
      return createSpmTokenizer(vocab);
    case "bpe":
      return createBpeTokenizer(vocab);
    case "unigram":
      return createUnigramTokenizer(vocab);
  }
}
