import type { Kernels } from "../kernels/kernels.js";
import { type Descriptors, readRowsF32 } from "../rows/rows.js";
import type { JobKind } from "../run/threads/messages.js";
import type { Tensor } from "../tensor.js";
import { aboutSpan, batchTokens, type Span, storeHidden } from "./span.js";

/** Work for one thread: the first hidden states of some chunks. Plain data. */
export interface EmbedJob {
  readonly files: Descriptors;
  readonly span: Span;
  readonly token_embd: Tensor;
  /** A row for each position, where positions are learned. */
  readonly position_embd: Tensor | undefined;
  /** What embeddings are multiplied by. */
  readonly scale: number | undefined;
  /** Of all the span's chunks. */
  readonly tokens: Int32Array;
}

/** Looks each token's row up, and its position's. */
export function embed(job: EmbedJob, kernels: Kernels): undefined {
  const { files, span, token_embd, position_embd, scale, tokens } = job;
  kernels.reset();
  const rowBytes = span.width * 4;
  const x = kernels.reserve(batchTokens(span) * rowBytes);
  tokens.forEach((token, i) => {
    readRowsF32(kernels, files, token_embd, token, 1, x + i * rowBytes);
  });
  if (scale !== undefined) kernels.call("scale")(x, tokens.length * span.width, scale);
  if (position_embd !== undefined) {
    const { chunks, context, width } = span;
    const positions = kernels.reserve(context * rowBytes);
    readRowsF32(kernels, files, position_embd, 0, context, positions);
    for (let chunk = 0; chunk < chunks; chunk++) {
      kernels.call("add_columns")(positions, 0, x + chunk * context * rowBytes, 0, 1, context * width);
    }
  }
  storeHidden(kernels, span, x);
}

export const embedJob: JobKind<EmbedJob, undefined> = {
  name: "embed",
  run: embed,
  about: ({ token_embd, span }) => `tensor ${token_embd.name}, ${aboutSpan(span)}`,
};
