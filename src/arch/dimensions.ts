import { type HParams, numbersOf } from "./hparams.js";
import type { LayerNumbers } from "./numbers/layers.js";

// The lengths that tensor shapes are made of. A family that has others adds a line.
const DIMENSIONS = {
  vocab: (h) => h.vocabSize,
  context: (h) => h.contextLength,
  embd: (h) => h.embeddingLength,
  /** A query or key head. */
  head: (_, n) => n.keyLength,
  heads: (_, n) => n.headCount,
  headsKv: (_, n) => n.headCountKv,
  q: (_, n) => n.headCount * n.keyLength,
  kv: (_, n) => n.headCountKv * n.keyLength,
  v: (_, n) => n.headCountKv * n.valueLength,
  /** Queries, keys and values below each other. */
  qkv: (_, n) => n.headCount * n.keyLength + n.headCountKv * (n.keyLength + n.valueLength),
  attn: (_, n) => n.headCount * n.valueLength,
  ffn: (_, n) => n.feedForwardLength,
  /** Gate and up below each other. */
  "embd*3": (h) => 3 * h.embeddingLength,
  "ffn*2": (_, n) => 2 * n.feedForwardLength,
  "ffn/2": (_, n) => n.feedForwardLength / 2,
  "rope/2": (_, n) => n.ropeDimensionCount / 2,
  experts: (h) => h.expertCount,
  expertFfn: (h) => h.expertFeedForwardLength,
  "expertFfn*2": (h) => 2 * h.expertFeedForwardLength,
  expertEmbd: (h) => h.expertLatentLength || h.embeddingLength,
  sharedFfn: (h) => h.sharedExpertFeedForwardLength,
  "sharedFfn*2": (h) => 2 * h.sharedExpertFeedForwardLength,
  /** Where the file has the width of each. */
  eachSharedFfn: (h) => h.sharedExpertCount * h.sharedExpertFeedForwardLength,
  /** Of state space models: channels; those and their gates below each other; what is computed of the channels. */
  inner: (h) => h.ssm.innerSize,
  "inner*2": (h) => 2 * h.ssm.innerSize,
  ssmX: (h) => h.ssm.timeStepRank + 2 * h.ssm.stateSize,
  states: (h) => h.ssm.stateSize,
  conv: (h) => h.ssm.convKernel,
  timeStep: (h) => h.ssm.timeStepRank,
  /** Of gated delta nets: queries, keys and values below each other; a value head; what key heads have side by side. */
  deltaQkv: (h) => 2 * h.ssm.groupCount * h.ssm.stateSize + h.ssm.innerSize,
  deltaHead: (h) => h.ssm.innerSize / h.ssm.timeStepRank,
  "timeStep*2": (h) => 2 * h.ssm.timeStepRank,
  /** Of Mamba-2: what its channels are convolved with; that, gates and steps below each other; a group's channels. */
  mamba2Conv: ({ ssm }) => ssm.innerSize + 2 * ssm.groupCount * ssm.stateSize,
  mamba2In: ({ ssm }) => 2 * (ssm.innerSize + ssm.groupCount * ssm.stateSize) + ssm.timeStepRank,
  groups: (h) => h.ssm.groupCount,
  groupInner: (h) => h.ssm.innerSize / h.ssm.groupCount,
  /** Queries, each with a gate of its own. */
  "q*2": (_, n) => 2 * n.headCount * n.keyLength,
  /** Of latent attention: what queries, and keys and values, are made of, and of the latter with a key's turned part. */
  queryRank: (h) => h.latent.queryRank,
  rank: (h) => h.latent.rank,
  "rank+rope": (h, n) => h.latent.rank + n.ropeDimensionCount,
  latentQ: (h, n) => n.headCount * h.latent.keyLength,
  latentKey: (h, n) => h.latent.keyLength - n.ropeDimensionCount,
  latentValue: (h) => h.latent.valueLength,
  latentKv: (h, n) => n.headCount * (h.latent.keyLength - n.ropeDimensionCount + h.latent.valueLength),
  latentAttn: (h, n) => n.headCount * h.latent.valueLength,
  /** Of an index. */
  indexerHeads: (h) => h.latent.indexerHeads,
  indexerKey: (h) => h.latent.indexerKeyLength,
  indexerQ: (h) => h.latent.indexerHeads * h.latent.indexerKeyLength,
  /** What a layer knows of a token itself, and all layers. */
  layerInput: (h) => h.layerInputLength,
  layerInputs: (h) => h.blockCount * h.layerInputLength,
  /** Hidden states of a token, all or but the first; what the product of low rank has between its matrices. */
  streams: (h) => h.streams.count,
  "streams^2": (h) => h.streams.count ** 2,
  otherStreams: (h) => h.streams.count - 1,
  laurel: (h) => h.streams.lowRank,
  one: () => 1,
} as const satisfies Record<string, (h: HParams, n: LayerNumbers) => number>;

export type Dimension = keyof typeof DIMENSIONS;

/** Of a block's tensor, or of one outside of blocks. */
export function dimension(name: Dimension, hparams: HParams, layer: number | undefined): number {
  return DIMENSIONS[name](hparams, numbersOf(hparams, layer));
}
