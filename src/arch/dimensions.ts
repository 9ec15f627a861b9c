import type { HParams } from "./hparams.js";

// The lengths that tensor shapes are made of. A family that has others adds a line.
const DIMENSIONS = {
  vocab: (h) => h.vocabSize,
  context: (h) => h.contextLength,
  embd: (h) => h.embeddingLength,
  /** A query or key head. */
  head: (h) => h.keyLength,
  q: (h) => h.headCount * h.keyLength,
  kv: (h) => h.headCountKv * h.keyLength,
  v: (h) => h.headCountKv * h.valueLength,
  /** Queries, keys and values below each other. */
  qkv: (h) => h.headCount * h.keyLength + h.headCountKv * (h.keyLength + h.valueLength),
  attn: (h) => h.headCount * h.valueLength,
  ffn: (h) => h.feedForwardLength,
  /** Gate and up below each other. */
  "ffn*2": (h) => 2 * h.feedForwardLength,
  "ffn/2": (h) => h.feedForwardLength / 2,
  "rope/2": (h) => h.ropeDimensionCount / 2,
  experts: (h) => h.expertCount,
  expertFfn: (h) => h.expertFeedForwardLength,
  sharedFfn: (h) => h.sharedExpertFeedForwardLength,
  /** Of state space models: channels; those and their gates below each other; what is computed of the channels. */
  inner: (h) => h.ssm.innerSize,
  "inner*2": (h) => 2 * h.ssm.innerSize,
  ssmX: (h) => h.ssm.timeStepRank + 2 * h.ssm.stateSize,
  states: (h) => h.ssm.stateSize,
  conv: (h) => h.ssm.convKernel,
  timeStep: (h) => h.ssm.timeStepRank,
  one: () => 1,
} as const satisfies Record<string, (h: HParams) => number>;

export type Dimension = keyof typeof DIMENSIONS;

export function dimension(name: Dimension, hparams: HParams): number {
  return DIMENSIONS[name](hparams);
}
