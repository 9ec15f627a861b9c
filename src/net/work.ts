import type { MixerState } from "./mixers/state/state.js";
import { normalize } from "./norm.js";
import type { LayerInputs, Linear, NormPlan } from "./plan/types.js";
import { exchange, type Multiplier, multiply, packInput } from "./products/matmul.js";
import { type Batch, batchTokens } from "./span.js";
import type { InputTap } from "./squares.js";

/** What a layer is run with: the tokens, what multiplies, and who looks at the inputs of matrices. */
export interface Work extends Multiplier {
  readonly batch: Batch;
  /** The angles of the layer's RoPE (ropeTable); undefined without. */
  readonly rope: SharedArrayBuffer | undefined;
  readonly squares: InputTap | undefined;
  /** What of the chunks the layer's mixer keeps for others, or finds: see MixerPlan.kept. Without states only. */
  readonly kept?: readonly number[] | undefined;
  /** What layers' own inputs are made of, in models that have such. */
  readonly inputs?: LayerInputs | undefined;
  /** What each chunk goes on from in this layer; without, chunks begin here and leave nothing. */
  readonly states?: readonly MixerState[] | undefined;
}

/** Tokens that go through a product together; a long chunk does so in pieces, each of which unpacks the weights. */
export const PIECE_TOKENS = 1024;

/** The batch's tokens, cut into pieces: [first, count] of each. */
export function piecesOf(batch: Batch): [first: number, count: number][] {
  const tokens = batchTokens(batch);
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
  input: string,
): number {
  const { width } = work.batch;
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
  const { kernels, batch } = work;
  const input = packInput(work, y, tokens, [linear]);
  if (norm === undefined) {
    multiply(work, linear, input, x, "add_columns");
    exchange(work, tokens, [linear, x]);
    work.squares?.added?.(x, tokens);
    return;
  }
  const product = kernels.reserve(tokens * batch.width * 4);
  multiply(work, linear, input, product, "copy_columns");
  exchange(work, tokens, [linear, product]);
  normalize(work, norm, product, product, tokens);
  kernels.call("add_columns")(product, batch.width * 4, x, batch.width * 4, tokens, batch.width);
}
