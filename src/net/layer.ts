import type { Kernels } from "../kernels/kernels.js";
import type { JobKind } from "../run/threads/messages.js";
import { type LayerJob, type LayerResult, PIECE_TOKENS, type Work } from "./block.js";
import { addFeedForward } from "./feed-forward/feed-forward.js";
import { mlpMemory } from "./feed-forward/mlp.js";
import { runGlm } from "./glm.js";
import { addAttention } from "./mixers/attention.js";
import { addMamba, mambaMemory } from "./mixers/mamba.js";
import type { DecoderPlan, TransformerPlan } from "./plan/decoder.js";
import { slabMemory } from "./products/matmul.js";
import { loadHidden, spanTokens, storeHidden } from "./span.js";
import { Squares } from "./squares.js";

/** Runs a block for the hidden states of the job's chunks. Nothing a chunk goes through depends on those beside it. */
export function runLayer(job: LayerJob, kernels: Kernels): LayerResult {
  kernels.reset();
  const squares = job.collect ? new Squares(kernels, job.span) : undefined;
  const x = loadHidden(kernels, job.span);
  const { layer } = job;
  if (layer.block === "mamba") addMamba({ ...job, layer, kernels, squares }, x);
  else if (job.traits.block === "glm") runGlm({ ...job, layer, kernels, squares }, x);
  else runTransformer({ ...job, layer, kernels, squares }, x);
  storeHidden(kernels, job.span, x);
  return squares?.result;
}

export const layerJob: JobKind<LayerJob, LayerResult> = { name: "layer", run: runLayer };

/** x += attention(norm(x)), x += feedForward(norm(x)); in parallel blocks both halves see the first x. */
function runTransformer(work: Work<TransformerPlan>, x: number): void {
  const before = work.traits.parallel ? copyOf(work, x) : x;
  addAttention(work, x, x);
  addFeedForward(work, before, x);
}

function copyOf({ kernels, span }: Work, x: number): number {
  const byteLength = spanTokens(span) * span.width * 4;
  const copy = kernels.reserve(byteLength);
  kernels.bytes(copy, byteLength).set(kernels.bytes(x, byteLength));
  return copy;
}

/** Bytes of kernel memory that a block takes for so many chunks. */
export function layerMemory(
  { hparams: h, traits, layers }: DecoderPlan,
  chunks: number,
  context: number,
): number {
  const tokens = chunks * context;
  const piece = Math.min(tokens, PIECE_TOKENS);
  const layer = layers[0]!;
  if (layer.block === "mamba") return 4 * tokens * h.embeddingLength + mambaMemory(layer, tokens, piece);
  const o = h.keyLength === h.valueLength ? 0 : h.headCount * h.valueLength;
  const heads = h.headCount * h.keyLength + h.headCountKv * (h.keyLength + h.valueLength) + o;
  const keys = context * (h.keyLength + h.valueLength + SCORE_FLOATS);
  const packed = Math.max(h.embeddingLength, h.headCount * h.valueLength);
  const attention = tokens * heads + Math.max(piece * (packed + 2 * h.embeddingLength), keys);
  const states = (traits.parallel || traits.block === "glm" ? 2 : 1) * tokens * h.embeddingLength;
  const { mlp, mixture } = layer.feedForward;
  const mlps = [mlp, mixture?.experts[0], mixture?.shared].filter((each) => each !== undefined);
  const largest = Math.max(...mlps.map((each) => mlpMemory(each, piece)));
  const attentionMemory = 4 * attention + slabMemory(layer.attention.output.weight, piece);
  return 4 * states + Math.max(attentionMemory, largest + 4 * 3 * piece * h.embeddingLength);
}

/** Scores of a block of queries, for each token (attention_scratch). */
const SCORE_FLOATS = 64;
