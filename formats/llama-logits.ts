// What llama-perplexity writes with --kl-divergence-base: the distribution of a base model after each scored token
// of a text. Little endian:
//   "_logits_" | context u32 | vocabulary i32 | chunks i32 | tokens i32 [chunks][context] | rows [chunks][scored]
//   row:  scale f32 | minimum f32 | codes u16 [vocabulary, rounded up to even]     ln p = scale × code + minimum
// Scored are the tokens after positions context / 2 to context - 2. Codes span the 16 nats below the likeliest
// token; what is less likely stands at the minimum.
import { t } from "../src/language/t.js";
import { ByteReader, type ByteSource } from "./bytes.js";

export const LLAMA_LOGITS_MAGIC = "_logits_";

/** llama-perplexity leaves base probabilities up to this logarithm out of its sums. */
export const LLAMA_LOG_PROB_FLOOR = -16;

export interface LlamaLogits {
  readonly context: number;
  readonly vocabSize: number;
  /** The tokens of each chunk, before the first is replaced by bos. */
  readonly chunks: readonly Int32Array[];
  /** Where the rows begin; those of a chunk are `chunkBytes` long. */
  readonly offset: number;
  readonly chunkBytes: number;
}

/** Codes begin after scale and minimum. */
export const LLAMA_ROW_HEAD = 8;

/** Bytes of one row. */
export function llamaRowBytes(vocabSize: number): number {
  return LLAMA_ROW_HEAD + 2 * (vocabSize + (vocabSize % 2));
}

const MIN_CONTEXT = 3;
/** More than any text has: each takes memory. */
export const MAX_CHUNKS = 2 ** 18;

/** @throws LlqError `bad-input` for a file that is cut short, has bytes to spare or counts that make no sense */
export function readLlamaLogits(source: ByteSource): LlamaLogits {
  const r = new ByteReader(source);
  if (r.text(LLAMA_LOGITS_MAGIC.length) !== LLAMA_LOGITS_MAGIC) r.fail(t`no _logits_ file`, undefined, 0);
  const context = r.u32();
  const vocabSize = r.i32();
  const count = r.i32();
  if (context < MIN_CONTEXT || vocabSize < 1 || count < 1 || count > MAX_CHUNKS) {
    r.fail(t`${count} chunks of ${context} tokens over a vocabulary of ${vocabSize}`, t`the file is damaged`);
  }
  const chunkBytes = (context - 1 - Math.floor(context / 2)) * llamaRowBytes(vocabSize);
  const expected = r.offset + count * (4 * context + chunkBytes);
  if (expected !== source.byteLength) {
    const message = t`${count} chunks of ${context} tokens over a vocabulary of ${vocabSize} take ${expected} bytes`;
    r.fail(t`${message}, the file has ${source.byteLength}`, t`the file is truncated or damaged`);
  }
  const chunks = Array.from({ length: count }, () => readTokens(r, context, vocabSize));
  return { context, vocabSize, chunks, offset: r.offset, chunkBytes };
}

function readTokens(r: ByteReader, count: number, vocabSize: number): Int32Array {
  return Int32Array.from({ length: count }, () => {
    const token = r.i32();
    if (token >= 0 && token < vocabSize) return token;
    return r.fail(
      t`token ${token} is beyond the vocabulary of ${vocabSize}`,
      t`the file is damaged`,
      r.offset - 4,
    );
  });
}
