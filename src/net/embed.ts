import type { DTypeName } from "../../formats/dtype.js";
import type { Kernels } from "../kernels/kernels.js";
import { type Descriptors, readRowsF32, rowBytes } from "../rows/rows.js";
import type { JobKind } from "../run/threads/messages.js";
import { quantizeChecked } from "../run/write/overflow.js";
import { normalize } from "./norm.js";
import type { DecoderPlan } from "./plan/types.js";
import { streamWeights } from "./products/streamed.js";
import { aboutSpan, type Batch, batchTokens, type Span, storeHidden } from "./span.js";

/** What makes hidden states of tokens. */
export type Embedding = Pick<
  DecoderPlan,
  "token_embd" | "position_embd" | "embeddingScale" | "embeddingNorm"
>;

/** Work for one thread: the first hidden states of some chunks. Plain data. */
export interface EmbedJob extends Embedding {
  readonly files: Descriptors;
  readonly span: Span;
  /** Of all the span's chunks. */
  readonly tokens: Int32Array;
}

export const embedJob: JobKind<EmbedJob, undefined> = {
  name: "embed",
  run: runEmbedJob,
  about: ({ token_embd, span }) => `tensor ${token_embd.name}, ${aboutSpan(span)}`,
};

function runEmbedJob(job: EmbedJob, kernels: Kernels): undefined {
  const { files, span, tokens } = job;
  kernels.reset();
  storeHidden(kernels, span, embedTokens(kernels, files, job, span, tokens));
}

/**
 * Looks each token's row up, and its position's, and norms the sum where a model does: hidden states [tokens][width]. The memory is the caller's to give back.
 * @param type that the embedding is rounded to, if it is another than it is stored in
 */
export function embedTokens(
  kernels: Kernels,
  files: Descriptors,
  { token_embd, position_embd, embeddingScale, embeddingNorm }: Embedding,
  batch: Batch,
  tokens: Int32Array,
  type: DTypeName = token_embd.dtype,
): number {
  const { chunks, context, width, starts } = batch;
  const rowSize = width * 4;
  const x = kernels.reserve(batchTokens(batch) * rowSize);
  const mark = kernels.mark();
  const stored = kernels.reserve(rowBytes(token_embd, type));
  tokens.forEach((token, i) => {
    const row = x + i * rowSize;
    readRowsF32(kernels, files, token_embd, token, 1, row);
    if (type === token_embd.dtype) return;
    quantizeChecked(kernels, token_embd, type, { x: row, firstRow: token, rows: 1, length: width }, stored);
    kernels.toF32(type, stored, row, width);
  });
  if (embeddingScale !== undefined) kernels.call("scale")(x, tokens.length * width, embeddingScale);
  if (position_embd !== undefined) {
    const positions = kernels.reserve(context * rowSize);
    for (let chunk = 0; chunk < chunks; chunk++) {
      readRowsF32(kernels, files, position_embd, starts?.[chunk] ?? 0, context, positions);
      kernels.call("add_columns")(positions, 0, x + chunk * context * rowSize, 0, 1, context * width);
    }
  }
  if (embeddingNorm !== undefined) {
    const on = { kernels, weights: streamWeights(files), activations: "f32" } as const;
    normalize(on, embeddingNorm, x, x, tokens.length);
  }
  kernels.reset(mark);
  return x;
}
