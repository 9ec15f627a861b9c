import type { Kernels } from "../kernels/kernels.js";
import type { Descriptors } from "../rows/rows.js";
import type { JobKind } from "../run/threads/messages.js";
import { addFeedForward, feedForwardMemory } from "./feed-forward/feed-forward.js";
import { addLayerInput, layerInputMemory } from "./layer-input.js";
import { besideMixer } from "./low-rank.js";
import { mixerOf } from "./mixers/index.js";
import { normalize } from "./norm.js";
import type { DecoderPlan, Half, LayerInputs, LayerPlan, NormPlan, StreamMixing } from "./plan/types.js";
import type { Activations } from "./products/matmul.js";
import { streamWeights } from "./products/streamed.js";
import type { Membership } from "./products/weights.js";
import {
  aboutSpan,
  batchTokens,
  loadColumns,
  loadStates,
  roomFor,
  type Span,
  storeColumns,
  storeStates,
} from "./span.js";
import { type LayerSquares, Squares } from "./squares.js";
import { correctStreams, predictStreams, statesOf, streamMemory } from "./streams.js";
import { Deserted, Exchange, membershipOf, type Place } from "./team/exchange.js";
import { PIECE_TOKENS, type Work } from "./work.js";

/** Work for one thread: one layer of the decoder over some chunks. Plain data. */
export interface LayerJob {
  readonly files: Descriptors;
  readonly activations: Activations;
  readonly span: Span;
  /** Hidden states of each token. */
  readonly states: number;
  readonly layer: LayerPlan;
  /** See ropeTable; undefined without RoPE. */
  readonly rope: SharedArrayBuffer | undefined;
  readonly inputs: LayerInputs | undefined;
  /** Return the sums of squares of what goes into the matrices. */
  readonly collect?: boolean;
  /** Among threads that do the same job together; absent: this one does it alone. */
  readonly place?: Place | undefined;
}

/** Undefined when the job does not collect; of threads that do it together the first one's counts. */
export type LayerResult = LayerSquares | undefined;

export const layerJob: JobKind<LayerJob, LayerResult> = {
  name: "layer",
  run: runLayerJob,
  about: ({ layer, span }) => {
    const norm = layer.mixer.norm ?? layer.mixer.postNorm;
    return `layer of ${norm?.weight.name ?? layer.mixer.plan.kind}, ${aboutSpan(span)}`;
  },
};

/** Runs a layer for the hidden states of the job's chunks. Nothing a chunk goes through depends on those beside it. */
function runLayerJob(job: LayerJob, kernels: Kernels): LayerResult {
  const { place } = job;
  if (place === undefined) return runAs(job, kernels, true);
  const exchange = new Exchange(place.meeting);
  try {
    return runAs(job, kernels, place.thread === 0, { exchange, member: membershipOf(exchange, place) });
  } catch (error) {
    if (error instanceof Deserted) return undefined; // the one that failed says why
    exchange.fail();
    throw error;
  }
}

function runAs(
  job: LayerJob,
  kernels: Kernels,
  isFirst: boolean,
  together?: { readonly exchange: Exchange; readonly member: Membership },
): LayerResult {
  kernels.reset();
  const squares = job.collect && isFirst ? new Squares(kernels, job.span) : undefined;
  const states = loadStates(kernels, job.span, job.states);
  const { files, activations, span: batch, rope, inputs } = job;
  const weights = streamWeights(files, together?.member);
  const { kept: columns = [], stateOf } = job.layer.mixer.plan;
  const kept = columns.map((each) =>
    (stateOf === undefined ? roomFor : loadColumns)(kernels, job.span, each),
  );
  together?.exchange.meet(); // none changes the hidden states before all have them
  const known = { ...(columns.length > 0 && { kept }), inputs };
  runLayer({ kernels, weights, activations, batch, rope, squares, ...known }, job.layer, states);
  if (!isFirst) return undefined;
  storeStates(kernels, job.span, states);
  if (stateOf === undefined) {
    columns.forEach((each, i) => {
      storeColumns(kernels, job.span, each, kept[i]!);
    });
  }
  return squares?.result;
}

/** Runs a layer for the tokens at hand, whose hidden states are [tokens][width] each: mostly one. */
export function runLayer(work: Work, layer: LayerPlan, states: readonly number[]): void {
  const { kernels } = work;
  const start = kernels.mark();
  if (layer.streams === undefined) runOne(work, layer, states[0]!);
  else runSeveral(work, layer, layer.streams, states);
  kernels.reset(start);
}

/** One of several states goes through the layer, the others are updated with it. */
function runSeveral(work: Work, layer: LayerPlan, streams: StreamMixing, states: readonly number[]): void {
  const { kernels, weights, batch } = work;
  const tokens = batchTokens(batch);
  predictStreams(work, streams, states, tokens);
  const made = copyOf(work, states[streams.active]!);
  runHalves(work, layer, made);
  correctStreams(work, streams, states, made, tokens);
  if (layer.input === undefined) return;
  const floats = tokens * batch.width;
  const seen = copyOf(work, states[streams.active]!);
  const scale = kernels.floats(weights.vector(kernels, streams.scale), batch.width).slice();
  const values = kernels.floats(seen, floats);
  for (let i = 0; i < floats; i++) values[i]! *= scale[i % batch.width]!;
  const added = made; // there is no more need of it
  kernels.bytes(added, floats * 4).fill(0);
  addLayerInput(work, layer.input, seen, added);
  for (const state of states.slice(1)) kernels.call("add_columns")(added, 0, state, 0, 1, floats);
}

/** The layer's halves, then what it knows of the tokens themselves. */
function runOne(work: Work, layer: LayerPlan, x: number): void {
  const { kernels } = work;
  runHalves(work, layer, x);
  if (layer.input !== undefined) addLayerInput(work, layer.input, x, x);
  if (layer.outputScale === undefined) return;
  const [scale] = kernels.floats(work.weights.vector(kernels, layer.outputScale), 1);
  kernels.call("scale")(x, batchTokens(work.batch) * work.batch.width, scale!);
}

/** The layer's mixer, then its feed-forward, for x [tokens][width]; in parallel layers both see the first x. */
function runHalves(work: Work, layer: LayerPlan, x: number): void {
  const { kernels, batch } = work;
  const { mixer, feedForward, parallel, lowRank } = layer;
  const start = kernels.mark();
  const before = parallel ? copyOf(work, x) : x;
  const beside = lowRank && besideMixer(work, lowRank, mixer.norm!, x);
  runHalf(work, layer, mixer, x, x, (half, from, to) => mixerOf(half.plan).run(work, half, from, to));
  if (beside !== undefined) {
    const floats = batchTokens(batch) * batch.width;
    kernels.call("add_columns")(beside, 0, x, 0, 1, floats);
    kernels.call("scale")(x, floats, Math.SQRT1_2);
  }
  if (feedForward !== undefined) {
    runHalf(work, layer, feedForward, before, x, (half, from, to) => addFeedForward(work, half, from, to));
  }
  kernels.reset(start);
}

/** Where the residual is the normalized input, x becomes a multiple of that first; a half with a scale adds to zeros. */
function runHalf<P>(
  work: Work,
  { residual }: LayerPlan,
  half: Half<P>,
  from: number,
  x: number,
  run: (half: Half<P>, from: number, to: number) => void,
): void {
  if (residual.of === "input") runScaled(work, residual.scale ?? 1, x, (to) => run(half, from, to));
  else run({ ...half, norm: undefined }, normedResidual(work, half.norm!, residual.scale, x), x);
}

/** x += scale × what is added to the sum that `add` is given. */
function runScaled(work: Work, scale: number, x: number, add: (sum: number) => void): void {
  if (scale === 1) {
    add(x);
    return;
  }
  const { kernels, batch } = work;
  const floats = batchTokens(batch) * batch.width;
  const mark = kernels.mark();
  const sum = kernels.reserve(floats * 4);
  kernels.bytes(sum, floats * 4).fill(0);
  add(sum);
  kernels.call("add_scaled")(sum, scale, x, floats);
  kernels.reset(mark);
}

/** Returns n = norm(x), and makes x scale × n. The memory is the caller's to give back. */
function normedResidual(work: Work, norm: NormPlan, scale: number, x: number): number {
  const { kernels, batch } = work;
  const n = copyOf(work, x);
  normalize(work, norm, x, n, batchTokens(batch));
  const floats = batchTokens(batch) * batch.width;
  kernels.bytes(x, floats * 4).set(kernels.bytes(n, floats * 4));
  kernels.call("scale")(x, floats, scale);
  return n;
}

function copyOf({ kernels, batch }: Work, x: number): number {
  const byteLength = batchTokens(batch) * batch.width * 4;
  const copy = kernels.reserve(byteLength);
  kernels.bytes(copy, byteLength).set(kernels.bytes(x, byteLength));
  return copy;
}

/** Bytes of kernel memory that any of the layers takes for so many chunks. */
export function layerMemory(plan: DecoderPlan, chunks: number, context: number): number {
  const width = plan.hparams.embeddingLength;
  const tokens = chunks * context;
  const piece = Math.min(tokens, PIECE_TOKENS);
  return plan.layers.reduce((most, { mixer, feedForward, parallel, lowRank, streams, input, residual }) => {
    const isScaled = residual.of === "normed" || (residual.scale ?? 1) !== 1;
    const several = streams === undefined ? 1 : statesOf(plan) + 2;
    const beside = lowRank === undefined ? 0 : 2;
    const states = (several + beside + (parallel ? 1 : 0) + (isScaled ? 1 : 0)) * tokens * width;
    const mixing = mixerOf(mixer.plan).memory(mixer.plan, { width, tokens, context, piece });
    const feeding = feedForward === undefined ? 0 : feedForwardMemory(feedForward.plan, width, piece);
    const own = input === undefined ? 0 : layerInputMemory(input, plan, width, piece);
    const streaming = plan.expand === undefined ? 0 : streamMemory(plan.expand, tokens);
    return Math.max(most, 4 * states + Math.max(mixing, feeding, own, streaming));
  }, 0);
}
