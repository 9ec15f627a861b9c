import { createBpeTokenizer } from "./bpe/bpe.js";
import { createSpmTokenizer } from "./spm/spm.js";
import { createUnigramTokenizer } from "./spm/unigram.js";
import type { Vocab } from "./types.js";

export interface Tokenizer {
  /**
   * Ids of a text, which is plain: what looks like a control token in it is spelled out. `addBos` defaults to
   * what the vocabulary asks for; eos is never added, since a text that is measured goes on.
   */
  encode(text: string, options?: { readonly addBos?: boolean }): Int32Array;
  /** The text of ids; control and unknown tokens have none. @throws LlqError `bad-input` for an id out of range */
  decode(ids: ArrayLike<number>): string;
}

/** @throws LlqError `bad-input` for a vocabulary that cannot encode, `unsupported` for an unknown pre-tokenizer */
export function createTokenizer(vocab: Vocab): Tokenizer {
  switch (vocab.kind) {
    case "spm":
      return createSpmTokenizer(vocab);
    case "bpe":
      return createBpeTokenizer(vocab);
    case "unigram":
      return createUnigramTokenizer(vocab);
  }
}
