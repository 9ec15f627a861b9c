import type { Kernels } from "../run/kernels.js";
import { type Descriptors, readRowsF32 } from "../run/rows.js";
import type { Tensor } from "../tensor.js";
import { type Span, spanTokens, storeHidden } from "./span.js";

/** Work for one thread: the first hidden states of some chunks. Plain data. */
export interface EmbedJob {
  readonly kind: "embed";
  readonly files: Descriptors;
  readonly span: Span;
  readonly token_embd: Tensor;
  /** Of all the span's chunks. */
  readonly tokens: Int32Array;
}

/** Looks each token's row up. */
export function embed({ files, span, token_embd, tokens }: EmbedJob, kernels: Kernels): undefined {
  kernels.reset();
  const rowBytes = span.width * 4;
  const x = kernels.reserve(spanTokens(span) * rowBytes);
  tokens.forEach((token, i) => {
    readRowsF32(kernels, files, token_embd, token, 1, x + i * rowBytes);
  });
  storeHidden(kernels, span, x);
}
