import type { DecoderTraits } from "../arch/architecture.js";
import type { HParams } from "../arch/hparams.js";
import type { Kernels } from "../run/kernels.js";
import type { Descriptors } from "../run/rows.js";
import type { LayerPlan } from "./decoder.js";
import {
  type Activations,
  multiply,
  multiplySlab,
  packInput,
  readVector,
  slabMemory,
  slabsOf,
} from "./matmul.js";
import { loadHidden, type Span, spanTokens, storeHidden } from "./span.js";
import { type LayerSquares, Squares } from "./squares.js";

/** Work for one thread: one block of the decoder over some chunks. Plain data. */
export interface LayerJob {
  readonly kind: "layer";
  readonly files: Descriptors;
  readonly activations: Activations;
  readonly span: Span;
  readonly hparams: HParams;
  readonly traits: DecoderTraits;
  readonly layer: LayerPlan;
  /** See ropeTable. */
  readonly rope: SharedArrayBuffer;
  /** Return the sums of squares of what goes into the matrices. */
  readonly collect?: boolean;
}

/** Undefined when the job does not collect. */
export type LayerResult = LayerSquares | undefined;

/** The job, what does it, and who looks at the inputs of its matrices. */
type Work = LayerJob & { readonly kernels: Kernels; readonly squares: Squares | undefined };

/**
 * x += attention(norm(x)), x += feedForward(norm(x)), for the hidden states x of the job's chunks. Nothing a chunk
 * goes through depends on which chunks are beside it.
 */
export function runLayer(job: LayerJob, kernels: Kernels): LayerResult {
  kernels.reset();
  const squares = job.collect ? new Squares(kernels, job.span) : undefined;
  const x = loadHidden(kernels, job.span);
  const work = { ...job, kernels, squares };
  addAttention(work, x);
  addFeedForward(work, x);
  storeHidden(kernels, job.span, x);
  return squares?.result;
}

/** Bytes of kernel memory that a block takes for so many chunks. */
export function layerMemory(h: HParams, layer: LayerPlan, chunks: number, context: number): number {
  const tokens = chunks * context;
  const piece = Math.min(tokens, PIECE_TOKENS);
  const o = h.keyLength === h.valueLength ? 0 : h.headCount * h.valueLength;
  const heads = h.headCount * h.keyLength + h.headCountKv * (h.keyLength + h.valueLength) + o;
  const keys = context * (h.keyLength + h.valueLength + SCORE_FLOATS);
  const attention = tokens * heads + Math.max(2 * piece * h.embeddingLength, keys);
  const feedForward = 2 * piece * (h.feedForwardLength + h.embeddingLength);
  const floats = tokens * h.embeddingLength + Math.max(attention, feedForward);
  return 4 * floats + 2 * slabMemory(layer.ffn_down.weight, piece);
}

/** Scores of a block of queries, for each token (attention_scratch). */
const SCORE_FLOATS = 64;

/** Tokens that go through a product together; a long chunk does so in pieces, each of which unpacks the weights. */
export const PIECE_TOKENS = 1024;

function piecesOf(tokens: number): [first: number, count: number][] {
  return Array.from({ length: Math.ceil(tokens / PIECE_TOKENS) }, (_, i) => [
    i * PIECE_TOKENS,
    Math.min(PIECE_TOKENS, tokens - i * PIECE_TOKENS),
  ]);
}

/** x += output(attention(q(n), k(n), v(n))) with n = norm(x) */
function addAttention(work: Work, x: number): void {
  const { kernels, hparams, layer, span } = work;
  const { headCount, headCountKv, keyLength, valueLength } = hparams;
  const tokens = spanTokens(span);
  const [qWidth, kWidth] = [headCount * keyLength, headCountKv * keyLength];
  const [vWidth, oWidth] = [headCountKv * valueLength, headCount * valueLength];
  const start = kernels.mark();
  const q = kernels.reserve(tokens * qWidth * 4);
  const k = kernels.reserve(tokens * kWidth * 4);
  const v = kernels.reserve(tokens * vWidth * 4);
  const o = qWidth === oWidth ? q : kernels.reserve(tokens * oWidth * 4);
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(tokens)) {
    const n = normed(work, x + first * span.width * 4, count, "attn_norm");
    const input = packInput(work, n, count, [layer.attn_q, layer.attn_k, layer.attn_v]);
    multiply(work, layer.attn_q, input, q + first * qWidth * 4, "copy_columns");
    multiply(work, layer.attn_k, input, k + first * kWidth * 4, "copy_columns");
    multiply(work, layer.attn_v, input, v + first * vWidth * 4, "copy_columns");
    kernels.reset(mark);
  }
  turn(work, q, headCount);
  turn(work, k, headCountKv);
  attend(work, { q, k, v, o });
  for (const [first, count] of piecesOf(tokens)) {
    work.squares?.add("attn_output", o + first * oWidth * 4, count, oWidth);
    const input = packInput(work, o + first * oWidth * 4, count, [layer.attn_output]);
    multiply(work, layer.attn_output, input, x + first * span.width * 4, "add_columns");
    kernels.reset(mark);
  }
  kernels.reset(start);
}

/** Gives the heads at `x` their positions. */
function turn({ kernels, hparams, traits, rope, span }: Work, x: number, heads: number): void {
  const mark = kernels.mark();
  const { keyLength, ropeDimensionCount } = hparams;
  const pairs = ropeDimensionCount / 2;
  const table = kernels.reserve(rope.byteLength);
  kernels.floats(table, rope.byteLength / 4).set(new Float32Array(rope));
  const [step, distance] = traits.rope === "neighbours" ? [2, 1] : [1, pairs];
  const { chunks, context } = span;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const at = x + chunk * context * heads * keyLength * 4;
    kernels.call("rope")(at, table, context, heads, keyLength, pairs, step, distance);
  }
  kernels.reset(mark);
}

interface Heads {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly o: number;
}

/** Each chunk sees itself only. */
function attend({ kernels, hparams, span }: Work, { q, k, v, o }: Heads): void {
  const mark = kernels.mark();
  const { headCount, headCountKv, keyLength, valueLength } = hparams;
  const { chunks, context } = span;
  const scratch = kernels.reserve(kernels.call("attention_scratch")(context, keyLength, valueLength));
  for (let chunk = 0; chunk < chunks; chunk++) {
    const at = chunk * context * 4;
    kernels.call("attention")(
      q + at * headCount * keyLength,
      k + at * headCountKv * keyLength,
      v + at * headCountKv * valueLength,
      o + at * headCount * valueLength,
      context,
      headCount,
      headCountKv,
      keyLength,
      valueLength,
      hparams.slidingWindow ?? 0,
      scratch,
    );
  }
  kernels.reset(mark);
}

/** x += down(silu(gate(n)) × up(n)) with n = norm(x) */
function addFeedForward(work: Work, x: number): void {
  const { kernels, span } = work;
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(spanTokens(span))) {
    feedPiece(work, x + first * span.width * 4, count);
    kernels.reset(mark);
  }
}

function feedPiece(work: Work, x: number, tokens: number): void {
  const { kernels, hparams, layer } = work;
  const { ffn_gate, ffn_up, ffn_down } = layer;
  const width = hparams.feedForwardLength;
  const h = kernels.reserve(tokens * width * 4);
  const input = packInput(work, normed(work, x, tokens, "ffn_norm"), tokens, [ffn_gate, ffn_up]);
  const mark = kernels.mark();
  for (const [first, rows] of slabsOf(ffn_gate.weight)) {
    const gate = multiplySlab(work, ffn_gate, input, first, rows);
    const up = multiplySlab(work, ffn_up, input, first, rows);
    kernels.call("silu_mul")(gate.y, up.y, gate.y, (tokens * gate.stride) / 4);
    kernels.call("copy_columns")(gate.y, gate.stride, h + first * 4, width * 4, tokens, rows);
    kernels.reset(mark);
  }
  work.squares?.add("ffn_down", h, tokens, width);
  multiply(work, ffn_down, packInput(work, h, tokens, [ffn_down]), x, "add_columns");
}

/** RMS norm of `tokens` hidden states at `x`. */
function normed(work: Work, x: number, tokens: number, norm: "attn_norm" | "ffn_norm"): number {
  const { kernels, hparams, layer, span } = work;
  const weight = readVector(work, layer[norm]);
  const y = kernels.reserve(tokens * span.width * 4);
  kernels.call("rms_norm")(x, weight, y, tokens, span.width, hparams.normEpsilon);
  work.squares?.add(norm, y, tokens, span.width);
  return y;
}
