import type { Metadata } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { KeyReader } from "./numbers/keys.js";
import { type LayerNumbers, readLayers } from "./numbers/layers.js";

/** How RoPE angles are stretched beyond the trained context, in GGUF's terms. */
export type RopeScaling =
  | { readonly type: "none" }
  | { readonly type: "linear"; readonly factor: number }
  /** The base grows with texts beyond the trained context. */
  | { readonly type: "dynamic"; readonly factor: number }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** The first and last of the pairs that are blended are whole. */
      readonly truncate: boolean;
    };

/** Of a state space model. */
export interface SsmNumbers {
  /** Channels; a multiple of 4. */
  readonly innerSize: number;
  /** Numbers that make up a channel's state. */
  readonly stateSize: number;
  /** Tokens that the convolution sees. */
  readonly convKernel: number;
  /** Of a gated delta net, value heads. */
  readonly timeStepRank: number;
  /** Of a gated delta net, key heads. */
  readonly groupCount: number;
  /** Layers with a state; undefined where the file does not say. */
  readonly layers: readonly boolean[] | undefined;
}

/** Tokens that part a text: behind the first `start`, text is generated in place of `gmask`, or else of `mask`. */
export interface PrefixTokens {
  readonly start: number;
  readonly gmask: number;
  readonly mask: number | undefined;
}

/**
 * A decoder's numbers, read from GGUF metadata whatever the model came from. Of what differs by layer, the largest;
 * widths are those of layers without a window.
 */
export interface HParams extends LayerNumbers {
  readonly architecture: string;
  readonly blockCount: number;
  /** Of each block. */
  readonly layers: readonly LayerNumbers[];
  readonly contextLength: number;
  readonly embeddingLength: number;
  /** Experts of a layer, and how many of them a token goes through; 0 without. */
  readonly expertCount: number;
  readonly expertUsedCount: number;
  readonly expertFeedForwardLength: number;
  /** Of the expert that every token goes through; 0 without. */
  readonly sharedExpertFeedForwardLength: number;
  /** The epsilon inside the root of every norm. */
  readonly normEpsilon: number;
  readonly ropeFreqBase: number;
  readonly ropeScaling: RopeScaling;
  /** Cosine and sine are longer by this; YaRN's own part of it not counted. */
  readonly ropeAttnFactor: number;
  /** The context that RoPE was trained with before it was stretched. */
  readonly ropeOriginalContext: number;
  /** Tokens a query sees, itself included; undefined without a window. */
  readonly slidingWindow: number | undefined;
  /** RoPE's base in layers with a window, if it is another there. */
  readonly windowRopeFreqBase: number | undefined;
  readonly alibiMaxBias: number | undefined;
  /** Limit of queries, keys and values. */
  readonly clampQkv: number | undefined;
  readonly attentionScale: number | undefined;
  readonly attentionSoftcap: number | undefined;
  readonly logitSoftcap: number | undefined;
  readonly logitScale: number | undefined;
  readonly residualScale: number | undefined;
  readonly embeddingScale: number | undefined;
  /** Whether mixer and feed-forward both see what a layer begins with; undefined where the file does not say. */
  readonly parallelResidual: boolean | undefined;
  /** Of models whose texts begin with a prefix that is seen as a whole. */
  readonly prefixTokens: PrefixTokens | undefined;
  /** All 0 without state spaces. */
  readonly ssm: SsmNumbers;
  readonly vocabSize: number;
}

/** Whether feed-forwards are mixtures of experts. */
export function hasExperts({ expertCount }: HParams): boolean {
  return expertCount > 0;
}

export function isDense({ expertCount }: HParams): boolean {
  return expertCount === 0;
}

// Tables of tensors are made as long as the numbers say, before the file is asked whether it has so many.
const MAX_LAYERS = 4096;
const MAX_EXPERTS = 2 ** 17;

/**
 * Reads `<architecture>.*` with the defaults of llama.cpp's loader.
 * @throws LlqError `bad-input` for a missing, mistyped or inconsistent key, `unsupported` for a scaling kind
 * the evaluator lacks
 */
export function readHParams(name: string, metadata: Metadata): HParams {
  const keys = new KeyReader(name, metadata);
  const architecture = keys.string("general.architecture");
  const count = (key: string, fallback?: number) => keys.count(`${architecture}.${key}`, fallback);
  const some = (key: string) => keys.optional(`${architecture}.${key}`);
  const embeddingLength = count("embedding_length");
  const contextLength = count("context_length");
  const window = count("attention.sliding_window", 0);
  const expertCount = count("expert_count", 0);
  const expertUsedCount = count("expert_used_count", 0);
  if (expertUsedCount > expertCount) {
    throw badInput(`${name}: tokens cannot go through ${expertUsedCount} of ${expertCount} experts`);
  }
  const blockCount = count("block_count");
  if (blockCount > MAX_LAYERS || blockCount * expertCount > MAX_EXPERTS) {
    throw badInput(`${name}: ${blockCount} layers of ${expertCount} experts, more than any model has`);
  }
  const { common, layers } = readLayers(keys, architecture, { blockCount, embeddingLength });
  return {
    architecture,
    ...common,
    blockCount,
    layers,
    contextLength,
    embeddingLength,
    expertCount,
    expertUsedCount,
    expertFeedForwardLength: count("expert_feed_forward_length", common.feedForwardLength),
    sharedExpertFeedForwardLength: count("expert_shared_feed_forward_length", 0),
    normEpsilon: readEpsilon(keys, architecture),
    ropeFreqBase: keys.positive(`${architecture}.rope.freq_base`, 10000),
    ropeScaling: readScaling(keys, architecture),
    ropeAttnFactor: keys.positive(`${architecture}.rope.scaling.attn_factor`, 1),
    ropeOriginalContext: keys.count(`${architecture}.rope.scaling.original_context_length`, contextLength),
    slidingWindow: window > 0 ? window : undefined,
    windowRopeFreqBase: some("rope.freq_base_swa"),
    alibiMaxBias: some("attention.max_alibi_bias"),
    clampQkv: some("attention.clamp_kqv"),
    attentionScale: some("attention.scale"),
    attentionSoftcap: some("attn_logit_softcapping"),
    logitSoftcap: some("final_logit_softcapping"),
    logitScale: some("logit_scale"),
    residualScale: some("residual_scale"),
    embeddingScale: some("embedding_scale"),
    parallelResidual: metadata.get(`${architecture}.use_parallel_residual`)?.value as boolean | undefined,
    prefixTokens: readPrefixTokens(keys),
    ssm: readSsm(keys, architecture, blockCount),
    vocabSize: readVocabSize(keys, architecture),
  };
}

function readPrefixTokens(keys: KeyReader): PrefixTokens | undefined {
  const id = (name: string) => keys.optional(`tokenizer.ggml.${name}_token_id`);
  const [start, gmask, mask] = [id("bos"), id("gmask"), id("mask")];
  return start === undefined || gmask === undefined ? undefined : { start, gmask, mask };
}

function readSsm(keys: KeyReader, architecture: string, blockCount: number): SsmNumbers {
  const count = (key: string, fallback: number) => keys.count(`${architecture}.${key}`, fallback);
  const innerSize = count("ssm.inner_size", 0);
  if (innerSize % 4 !== 0) {
    throw new LlqError(
      "unsupported",
      `${keys.name}: ${innerSize} channels of a state space, no multiple of 4`,
    );
  }
  return {
    innerSize,
    stateSize: count("ssm.state_size", 0),
    convKernel: count("ssm.conv_kernel", 0),
    timeStepRank: count("ssm.time_step_rank", 0),
    groupCount: count("ssm.group_count", 0),
    layers: readRecurrent(keys, architecture, blockCount),
  };
}

/** Files say it as a flag for each layer, or as a number: of so many layers the last has attention. */
function readRecurrent(keys: KeyReader, architecture: string, blockCount: number): boolean[] | undefined {
  const flags = keys.flags(`${architecture}.attention.recurrent_layers`, blockCount);
  const interval = keys.optional(`${architecture}.full_attention_interval`);
  if (flags !== undefined || interval === undefined) return flags;
  return Array.from({ length: blockCount }, (_, i) => (i + 1) % interval !== 0);
}

/** Of RMS norms, or of layer norms. */
function readEpsilon(keys: KeyReader, architecture: string): number {
  const rms = `${architecture}.attention.layer_norm_rms_epsilon`;
  const layer = `${architecture}.attention.layer_norm_epsilon`;
  return keys.positive(keys.metadata.has(layer) && !keys.metadata.has(rms) ? layer : rms);
}

function readScaling(keys: KeyReader, architecture: string): RopeScaling {
  const key = (last: string) => `${architecture}.rope.scaling.${last}`;
  // As llama.cpp has it: a factor without a type is linear, and files of 2023 have another name for it.
  const type = keys.string(key("type"), "linear");
  const dynamic = keys.optional(key("dynamic_factor"));
  if (dynamic !== undefined) return { type: "dynamic", factor: dynamic };
  const factor = keys.optional(key("factor")) ?? keys.optional(`${architecture}.rope.scale_linear`) ?? 1;
  switch (type) {
    case "none":
      return { type };
    case "linear":
    case "longrope": // its divisors are tensors
      return factor === 1 ? { type: "none" } : { type: "linear", factor };
    case "yarn":
      return {
        type,
        factor,
        betaFast: keys.positive(key("yarn_beta_fast"), 32),
        betaSlow: keys.positive(key("yarn_beta_slow"), 1),
        truncate: keys.metadata.get(key("yarn_truncate"))?.value !== false,
      };
    default:
      throw new LlqError("unsupported", `${keys.name}: RoPE scaling of type ${type}`, {
        hint: "none, linear, longrope and yarn are supported",
      });
  }
}

function readVocabSize(keys: KeyReader, architecture: string): number {
  const tokens = keys.metadata.get("tokenizer.ggml.tokens")?.value;
  return keys.count(`${architecture}.vocab_size`, Array.isArray(tokens) ? tokens.length : undefined);
}

/** The numbers of a block; outside of blocks, the model's. */
export function numbersOf(hparams: HParams, layer: number | undefined): LayerNumbers {
  return layer === undefined ? hparams : hparams.layers[layer]!;
}
