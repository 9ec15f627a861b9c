import { badInput, LlqError } from "../../formats/errors.js";
import type { Model } from "../model.js";
import { cutChunks } from "./chunks.js";
import { scoreChunks } from "./forward.js";

export interface PerplexityOptions {
  /** Tokens in a chunk; the second half of each is scored. Default 512. */
  readonly context?: number | undefined;
  /** Chunks to evaluate, from the start of the text. Default: all. */
  readonly chunks?: number | undefined;
  /** The token that takes the place of the first of each chunk, for models whose texts begin with one. */
  readonly bos?: number | undefined;
  /** Worker threads; 0 works in this thread. Default: one a core. The result does not depend on it. */
  readonly threads?: number | undefined;
  /** Bytes for hidden states and the threads' working memory. Default: half of what is free. */
  readonly maxMemory?: number | undefined;
  readonly onProgress?: ((progress: PerplexityProgress) => void) | undefined;
  /** Stops the work; the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

export interface PerplexityProgress {
  /** Multiply-adds done, and all there are to do. */
  readonly done: number;
  readonly total: number;
  readonly tokensPerSecond: number;
  /** Perplexity after each chunk, as far as chunks are finished in order. */
  readonly running: readonly number[];
}

export interface Perplexity {
  /** e^nll */
  readonly ppl: number;
  /** Standard error of `ppl`, scored tokens taken as independent. */
  readonly error: number;
  /** Mean of -ln p(token | the tokens before it in its chunk) over the scored tokens. */
  readonly nll: number;
  /** Scored tokens. */
  readonly count: number;
  readonly context: number;
  /** Perplexity after each chunk. */
  readonly running: readonly number[];
  readonly seconds: number;
  /** Tokens evaluated, scored or not, a second. */
  readonly tokensPerSecond: number;
}

const DEFAULT_CONTEXT = 512;
/** So that a chunk has a token to score: context / 2 to context - 2 are positions. */
const MIN_CONTEXT = 3;

/**
 * Perplexity of a text by the protocol of llama-perplexity: the tokens are cut into chunks of `context`, what is
 * left over is dropped; chunks do not see each other; scored are the tokens that follow positions context / 2 to
 * context - 2.
 * @param tokens the whole text, beginning with bos if the model wants one
 * @throws LlqError `bad-input` for a text of fewer than two chunks, tokens beyond the vocabulary, or weights that
 * give no number; `usage` for a context too short to score anything
 */
export async function evaluatePerplexity(
  model: Model,
  tokens: Int32Array,
  options: PerplexityOptions = {},
): Promise<Perplexity> {
  const started = performance.now();
  const { context = DEFAULT_CONTEXT, bos } = options;
  if (context < MIN_CONTEXT) {
    throw new LlqError("usage", `a context of ${context} tokens leaves none to score`, {
      hint: `at least ${MIN_CONTEXT} are needed, ${DEFAULT_CONTEXT} are usual`,
    });
  }
  const chunks = cutChunks(model, tokens, { context, chunks: options.chunks, bos });
  const total = chunks.length * context;
  const tally = new Tally(model.path, chunks.length);
  const { threads, maxMemory, signal, onProgress } = options;
  const seconds = () => (performance.now() - started) / 1000;
  await scoreChunks(model, chunks, {
    firstPosition: Math.floor(context / 2),
    threads,
    maxMemory,
    signal,
    onChunk: (chunk, nll) => tally.add(chunk, nll),
    onProgress: (done, all) => {
      const tokensPerSecond = ((done / all) * total) / seconds();
      onProgress?.({ done, total: all, tokensPerSecond, running: tally.running });
    },
  });
  return { ...tally.result(), context, seconds: seconds(), tokensPerSecond: total / seconds() };
}

/** Sums over chunks, which come in any order and are added in theirs. */
class Tally {
  readonly running: number[] = [];
  readonly #name: string;
  readonly #chunks: (Float64Array | undefined)[];
  #count = 0;
  #sum = 0;
  #squares = 0;

  constructor(name: string, chunks: number) {
    this.#name = name;
    this.#chunks = Array.from({ length: chunks });
  }

  /** @throws LlqError `bad-input` when the model gave no number */
  add(chunk: number, nll: Float64Array): void {
    if (!nll.every(Number.isFinite)) {
      const message = `${this.#name}: chunk ${chunk + 1}: the model's output is not a number`;
      throw badInput(message, "weights are damaged, or too large for f32 arithmetic");
    }
    this.#chunks[chunk] = nll;
    for (;;) {
      const next = this.#chunks[this.running.length];
      if (next === undefined) return;
      for (const value of next) {
        this.#sum += value;
        this.#squares += value * value;
      }
      this.#count += next.length;
      this.running.push(Math.exp(this.#sum / this.#count));
    }
  }

  result() {
    const count = this.#count;
    const nll = this.#sum / count;
    const ppl = Math.exp(nll);
    const variance = Math.max(0, this.#squares / count - nll * nll);
    return { ppl, error: ppl * Math.sqrt(variance / (count - 1)), nll, count, running: this.running };
  }
}
