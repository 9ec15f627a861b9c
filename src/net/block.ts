import type { DecoderTraits } from "../arch/architecture.js";
import type { HParams } from "../arch/hparams.js";
import type { Kernels } from "../kernels/kernels.js";
import type { Descriptors } from "../rows/rows.js";
import { normalize } from "./norm.js";
import type { LayerPlan, Linear, NormPlan } from "./plan/decoder.js";
import { type Activations, multiply, packInput } from "./products/matmul.js";
import { type Span, spanTokens } from "./span.js";
import type { LayerInput, LayerSquares, Squares } from "./squares.js";

/** Work for one thread: one block of the decoder over some chunks. Plain data. */
export interface LayerJob {
  readonly files: Descriptors;
  readonly activations: Activations;
  readonly span: Span;
  readonly hparams: HParams;
  readonly traits: DecoderTraits;
  readonly layer: LayerPlan;
  /** See ropeTable; undefined without RoPE. */
  readonly rope: SharedArrayBuffer | undefined;
  /** Return the sums of squares of what goes into the matrices. */
  readonly collect?: boolean;
}

/** Undefined when the job does not collect. */
export type LayerResult = LayerSquares | undefined;

/** The job, what does it, and who looks at the inputs of its matrices. */
export interface Work<L extends LayerPlan = LayerPlan> extends LayerJob {
  readonly layer: L;
  readonly kernels: Kernels;
  readonly squares: Squares | undefined;
}

/** Tokens that go through a product together; a long chunk does so in pieces, each of which unpacks the weights. */
export const PIECE_TOKENS = 1024;

/** The job's tokens, cut into pieces: [first, count] of each. */
export function piecesOf(span: Span): [first: number, count: number][] {
  const tokens = spanTokens(span);
  return Array.from({ length: Math.ceil(tokens / PIECE_TOKENS) }, (_, i) => [
    i * PIECE_TOKENS,
    Math.min(PIECE_TOKENS, tokens - i * PIECE_TOKENS),
  ]);
}

/** What a half of the block begins with: norm(x) of `tokens` hidden states, or x itself where there is no norm. */
export function normed(
  work: Work,
  norm: NormPlan | undefined,
  x: number,
  tokens: number,
  input: LayerInput,
): number {
  const { width } = work.span;
  const y = norm === undefined ? x : work.kernels.reserve(tokens * width * 4);
  if (norm !== undefined) normalize(work, norm, x, y, tokens);
  work.squares?.add(input, y, tokens, width);
  return y;
}

/** x += norm(weight · y) for `tokens` rows, without a norm where there is none. */
export function addProduct(
  work: Work,
  linear: Linear,
  norm: NormPlan | undefined,
  y: number,
  x: number,
  tokens: number,
): void {
  const { kernels, span } = work;
  const input = packInput(work, y, tokens, [linear]);
  if (norm === undefined) {
    multiply(work, linear, input, x, "add_columns");
    return;
  }
  const product = kernels.reserve(tokens * span.width * 4);
  multiply(work, linear, input, product, "copy_columns");
  normalize(work, norm, product, product, tokens);
  kernels.call("add_columns")(product, span.width * 4, x, span.width * 4, tokens, span.width);
}
