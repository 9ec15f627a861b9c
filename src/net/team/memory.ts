import type { Kernels } from "../../kernels/kernels.js";
import { CONTEXT_STEP, type KvType } from "../../quant/fit/memory.js";
import { rowCount, rowLength, type Tensor } from "../../tensor.js";
import { headMemory } from "../head.js";
import { inputsOf } from "../inputs.js";
import { layerMemory } from "../layer.js";
import { mixerOf } from "../mixers/index.js";
import type { StateOptions } from "../mixers/mixer.js";
import type { DecoderPlan, Linear, RopePlan, StreamProjections } from "../plan/types.js";
import { matrixBytes, type Source } from "../products/resident.js";
import { shareOfRows, type Weights } from "../products/weights.js";
import { bufferBytes, shareOf } from "./exchange.js";
import { matricesOf, othersOf } from "./tensors.js";

// What a team takes. Threads lay their memories out by the same functions that count for others.

/** Tokens that are run through the layers together. */
export const PIECE = 512;

export const DEFAULT_CONTEXT = 4096;

/** Bytes that one WebAssembly memory may have. */
export const MEMORY_LIMIT = 2 ** 32 - 65536;

/** Room that is left for what estimates leave out. */
const SLACK = 32 << 20;

/** What the states of sequences have room for. */
export function statesFor({ hparams }: DecoderPlan, context: number, kvType: KvType): StateOptions {
  // Tokens of a prefix see each other, and so are run together.
  const batch = hparams.prefixTokens === undefined ? Math.min(PIECE, context) : context;
  return { capacity: Math.ceil(context / CONTEXT_STEP) * CONTEXT_STEP, batch, kvType };
}

/** What a thread's memories are to hold. */
export interface Holding {
  readonly plan: DecoderPlan;
  readonly source: Omit<Source, "files">;
  readonly states: StateOptions;
  /** How many there may be at once. */
  readonly sequences: number;
  readonly memoryLimit: number;
}

type Share = Pick<Weights, "share">;

/** Layers whose weights and states are in one memory, and bytes of both. */
export interface PlacePlan {
  /** One behind its last layer. */
  readonly end: number;
  readonly weights: number;
  readonly states: number;
}

/** Cuts a thread's share of the layers into as many memories as it needs. */
export function planPlaces(kernels: Kernels, holding: Holding, share: Share): PlacePlan[] {
  const { plan, source, states: kept, sequences, memoryLimit } = holding;
  const working = workingBytes(holding);
  const room = memoryLimit - working - SLACK;
  const places: PlacePlan[] = [];
  let [weights, states] = [0, 0];
  const take = (ownWeights: number, ownStates: number, layer: number) => {
    if (weights > 0 && weights + states + ownWeights + ownStates > room) {
      places.push({ end: layer, weights, states });
      [weights, states] = [0, 0];
    }
    weights += ownWeights;
    states += ownStates;
  };
  const bytesOf = (part: object, matrices: readonly Tensor[]) => {
    const own = matrices.map((matrix) => {
      const [, rows] = shareOfRows(share, rowCount(matrix));
      return matrixBytes(kernels, source, matrix, rows);
    });
    const floats = othersOf(part).map((tensor) => rowCount(tensor) * rowLength(tensor) * 4);
    return sum([...own, ...floats]);
  };
  for (const [i, layer] of plan.layers.entries()) {
    const { plan: mixer } = layer.mixer;
    const state = mixer.stateOf === undefined ? mixerOf(mixer).stateBytes(mixer, share, kept) : 0;
    const before = i === 0 ? bytesOf({ norm: plan.embeddingNorm }, weightsOf(plan.expand)) : 0;
    take(before + bytesOf(layer, matricesOf(layer)), sequences * state, i);
  }
  const { output, output_norm, outputBias, merge } = plan.head;
  take(bytesOf({ output_norm, outputBias }, [...weightsOf(merge), output]), 0, plan.layers.length);
  return [...places, { end: plan.layers.length, weights, states }];
}

function weightsOf(projections: StreamProjections | undefined): Tensor[] {
  return (projections?.matrices ?? []).map(({ weight }) => weight);
}

/** What a thread takes while it runs a piece, in each of its memories. */
export function workingBytes({ plan, states, sequences }: Holding): number {
  return Math.max(layerMemory(plan, 1, states.batch), headMemory(plan.head.output, sequences));
}

/**
 * Floats of a token that threads exchange at once, at most: what goes into a matrix, what comes out of one, or of those
 * of a mixer that share an input.
 */
export function exchangedFloats({ layers }: DecoderPlan): number {
  const rowsOf = (matrices: readonly Linear[]) => matrices.map(({ weight }) => rowCount(weight));
  const widths = layers.flatMap((layer) => {
    const { plan } = layer.mixer;
    const together = mixerOf(plan)
      .inputs(plan)
      .map(([, matrices]) => sum(rowsOf(matrices)));
    const alone = [...inputsOf(layer).values()].flatMap(({ matrices, columns }) => [
      columns,
      ...rowsOf(matrices),
    ]);
    return [...together, ...alone];
  });
  return Math.max(...widths);
}

/** What there is to say of a team before it is loaded. */
export interface TeamShape {
  readonly context: number;
  readonly sequences?: number | undefined;
  readonly kvType?: KvType | undefined;
  readonly source: Omit<Source, "files">;
  /** At least 1. */
  readonly threads: number;
}

/** Bytes of all threads together. */
export interface TeamMemory {
  /** As they are laid out for products; an embedding that is no output too is read from the file. */
  readonly weights: number;
  /** KV caches and recurrent states. */
  readonly states: number;
  /** What a piece of tokens is worked on in, by every thread. */
  readonly working: number;
  /** What threads share: angles, logits, what they exchange. */
  readonly shared: number;
  /** The JavaScript engine with its threads, and the vocabulary. */
  readonly program: number;
}

/** At its peak, while products are compiled and tried. */
const PROGRAM = 104 << 20;
const THREAD = 24 << 20;
/** Of a GGUF; the tokenizer of a folder may take more. */
const BYTES_PER_TOKEN = 640;

/** @throws LlqError `usage` when heads do not divide into the blocks of `kvType` */
export function teamMemory(
  kernels: Kernels,
  plan: DecoderPlan,
  { context, sequences = 1, kvType = "f16", source, threads }: TeamShape,
): TeamMemory {
  const states = statesFor(plan, context, kvType);
  const holding = { plan, source, states, sequences, memoryLimit: MEMORY_LIMIT };
  const places = Array.from({ length: threads }, (_, thread) =>
    planPlaces(kernels, holding, { share: (units) => shareOf(units, thread, threads) }),
  ).flat();
  const { vocabSize } = plan.hparams;
  return {
    weights: sum(places.map(({ weights }) => weights)),
    states: sum(places.map((place) => place.states)),
    working: places.length * workingBytes(holding),
    shared:
      2 * bufferBytes(threads, exchangedTokens(states, sequences) * exchangedFloats(plan)) +
      ropeBytes(plan, context) +
      logitBytes(plan, sequences),
    program: PROGRAM + threads * THREAD + BYTES_PER_TOKEN * vocabSize,
  };
}

/** The sum of a team's parts. */
export function teamBytes({ weights, states, working, shared, program }: TeamMemory): number {
  return weights + states + working + shared + program;
}

/** Tokens that are exchanged at once, at most. */
export function exchangedTokens({ batch }: StateOptions, sequences: number): number {
  return Math.max(batch, sequences);
}

export function logitBytes({ hparams }: DecoderPlan, sequences: number): number {
  return sequences * hparams.vocabSize * 4;
}

/** A table of angles for each RoPE that layers have. */
function ropeBytes({ layers }: DecoderPlan, context: number): number {
  const ropes = new Set(
    layers.flatMap(({ mixer }): RopePlan[] => (mixer.plan.rope ? [mixer.plan.rope] : [])),
  );
  return sum([...ropes].map(({ ropeDimensionCount }) => context * ropeDimensionCount * 4));
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}
