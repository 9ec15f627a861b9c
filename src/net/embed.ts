import type { Kernels } from "../kernels/kernels.js";
import type { Descriptors } from "../rows/rows.js";
import type { JobKind } from "../run/threads/messages.js";
import { rowLength, type Tensor } from "../tensor.js";
import { normalize } from "./norm.js";
import type { Embedding } from "./plan/types.js";
import type { Activations } from "./products/matmul.js";
import { streamWeights } from "./products/streamed.js";
import type { Weights } from "./products/weights.js";
import { aboutSpan, type Batch, batchTokens, type Span, storeStates } from "./span.js";
import { expandStreams } from "./streams.js";

/** Work for one thread: the first hidden states of some chunks. Plain data. */
export interface EmbedJob extends Embedding {
  readonly files: Descriptors;
  readonly span: Span;
  readonly activations: Activations;
  /** Of all the span's chunks. */
  readonly tokens: Int32Array;
}

export const embedJob: JobKind<EmbedJob, undefined> = {
  name: "embed",
  run: runEmbedJob,
  about: ({ token_embd, span }) => `tensor ${token_embd.name}, ${aboutSpan(span)}`,
};

function runEmbedJob(job: EmbedJob, kernels: Kernels): undefined {
  const { files, activations, span, tokens, expand } = job;
  kernels.reset();
  const weights = streamWeights(files);
  const x = embedTokens(kernels, weights, job, span, tokens);
  const on = { kernels, weights, activations };
  storeStates(kernels, span, expand === undefined ? [x] : expandStreams(on, expand, x, tokens.length));
}

/** Looks each token's row up, and its position's, and norms the sum where a model does: hidden states [tokens][width]. The memory is the caller's to give back. */
export function embedTokens(
  kernels: Kernels,
  weights: Weights,
  embedding: Embedding,
  batch: Batch,
  tokens: Int32Array,
): number {
  const { position_embd, embeddingNorm } = embedding;
  const { chunks, context, width, starts } = batch;
  const rowSize = width * 4;
  const x = kernels.reserve(batchTokens(batch) * rowSize);
  const mark = kernels.mark();
  lookUpTokens(kernels, weights, embedding, tokens, x);
  if (position_embd !== undefined) {
    for (let chunk = 0; chunk < chunks; chunk++) {
      const first = starts?.[chunk] ?? 0;
      const positions = kernels.reserve(context * rowSize);
      for (let i = 0; i < context; i++)
        weights.lookUp(kernels, position_embd, first + i, positions + i * rowSize);
      kernels.call("add_columns")(positions, 0, x + chunk * context * rowSize, 0, 1, context * width);
      kernels.reset(mark);
    }
  }
  if (embeddingNorm !== undefined) {
    const on = { kernels, weights, activations: "f32" } as const;
    normalize(on, embeddingNorm, x, x, tokens.length);
  }
  kernels.reset(mark);
  return x;
}

/** What tokens are to the model wherever they stand: rows [tokens][width] at `x`. */
export function lookUpTokens(
  kernels: Kernels,
  weights: Weights,
  { token_embd, embeddingScale }: Pick<Embedding, "token_embd" | "embeddingScale">,
  tokens: Int32Array,
  x: number,
): void {
  const width = rowLength(token_embd);
  tokens.forEach((token, i) => {
    weights.lookUp(kernels, token_embd, token, x + i * width * 4);
  });
  if (embeddingScale !== undefined) kernels.call("scale")(x, tokens.length * width, embeddingScale);
}

/** Columns `first` to `first + count` of the tokens' rows of a table: [tokens][count] at `x`. */
export function lookUpColumns(
  kernels: Kernels,
  weights: Weights,
  table: Tensor,
  [first, count]: readonly [number, number],
  tokens: Int32Array,
  x: number,
): void {
  const mark = kernels.mark();
  const row = kernels.reserve(rowLength(table) * 4);
  tokens.forEach((token, i) => {
    weights.lookUp(kernels, table, token, row);
    kernels.floats(x + i * count * 4, count).set(kernels.floats(row + first * 4, count));
  });
  kernels.reset(mark);
}
