import type { Model } from "../../model.js";
import { Pcg32 } from "../../pcg32.js";
import { TOKEN_TYPE } from "../../tokenizer/types.js";

/**
 * So many tokens of the vocabulary's ordinary ones, each as likely as the next: no text, yet much of how columns go
 * together is the weights' doing whatever the model reads. The same for a model every time; none of an empty vocabulary.
 */
export function drawTokens({ vocab, hparams }: Model, count: number): Int32Array {
  const ordinary: number[] = [];
  for (const [id, type] of vocab.types.entries()) {
    if (type === TOKEN_TYPE.NORMAL && id < hparams.vocabSize) ordinary.push(id);
  }
  const numbers = new Pcg32(0n, 0n);
  const drawn = ordinary.length === 0 ? 0 : count;
  return Int32Array.from(
    { length: drawn },
    () => ordinary[Math.floor(numbers.fraction() * ordinary.length)]!,
  );
}

/**
 * Tokens of each chunk that differ, in themselves or the two before, from all in the chunks before it: a text that says the
 * same again says nothing new.
 */
export function newsOf(chunks: readonly Int32Array[]): number[] {
  const seen = new Set<string>();
  return chunks.map((chunk) => {
    const before = seen.size;
    chunk.forEach((token, i) => {
      seen.add(`${chunk[i - 2]} ${chunk[i - 1]} ${token}`);
    });
    return seen.size - before;
  });
}
