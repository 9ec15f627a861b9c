import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { textStart } from "../../tokenizer/special.js";

export interface ChunkOptions {
  /** Tokens in a chunk. */
  readonly context: number;
  /** Chunks to take, from the start of the text. Default: all. */
  readonly chunks?: number | undefined;
  /** The token that takes the place of the first of each chunk, for models whose texts begin with one. */
  readonly bos?: number | undefined;
  /** Tokens from the start of a chunk to the start of the next, for chunks that overlap. Default: the context. */
  readonly stride?: number | undefined;
}

/**
 * Cuts a text into chunks of one length as llama.cpp's tools do; what is left over is dropped.
 * @throws LlqError `bad-input` for a text of fewer than two chunks, or tokens beyond the vocabulary
 */
export function cutChunks(model: Model, tokens: Int32Array, options: ChunkOptions): Int32Array[] {
  const { context, bos, stride } = options;
  if (tokens.length < 2 * context) {
    const message = t`the text has ${tokens.length} tokens; a context of ${context} needs at least ${2 * context}`;
    throw badInput(message, t`take a longer text or a shorter context`);
  }
  const { vocabSize } = model.hparams;
  const { special } = model.vocab;
  const beyond = tokens.find((token) => token < 0 || token >= vocabSize);
  if (beyond !== undefined) {
    throw badInput(t`${model.path}: the text has token ${beyond}; the model's vocabulary has ${vocabSize}`);
  }
  // Of chunks that overlap, llama-perplexity leaves out one that would end exactly where the text does.
  const all =
    stride === undefined
      ? Math.floor(tokens.length / context)
      : Math.ceil((tokens.length - context) / stride);
  return Array.from({ length: Math.min(options.chunks ?? all, all) }, (_, i) => {
    const from = i * (stride ?? context);
    const chunk = tokens.slice(from, from + context);
    if (bos !== undefined) chunk.set(bos === special.bos ? textStart(special) : [bos]);
    return chunk;
  });
}

/** So many of the chunks, evenly from all of them. */
export function spreadChunks(chunks: readonly Int32Array[], count: number): Int32Array[] {
  const taken = Math.min(count, chunks.length);
  return Array.from({ length: taken }, (_, i) => chunks[Math.floor(((i + 0.5) * chunks.length) / taken)]!);
}
