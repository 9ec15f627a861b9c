import type { Metadata } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";
import { type ExpertNumbers, readExperts } from "./numbers/experts.js";
import { KeyReader } from "./numbers/keys.js";
import { type LatentNumbers, readLatent } from "./numbers/latent.js";
import { type LayerNumbers, readLayers } from "./numbers/layers.js";
import { type RopeNumbers, readRopeScaling } from "./numbers/rope.js";

/** Of a state space model. */
export interface SsmNumbers {
  /** Channels; a multiple of 4. */
  readonly innerSize: number;
  /** Numbers that make up a channel's state. */
  readonly stateSize: number;
  /** Tokens that the convolution sees. */
  readonly convKernel: number;
  /** Of a gated delta net, value heads; of Mamba-2, heads. */
  readonly timeStepRank: number;
  /** Of a gated delta net, key heads; of Mamba-2, groups of heads. */
  readonly groupCount: number;
  /** The epsilon of the RMS norms of step, B and C; undefined where they are not normed. */
  readonly stepEpsilon: number | undefined;
  /** Whether Mamba-2's output is normed before it is gated. A key of llq's own. */
  readonly normsBeforeGate: boolean;
  /** What steps of Mamba-2 are at least, and at most. Keys of llq's own. */
  readonly leastStep: number;
  readonly mostStep: number;
  /** Layers with a state; undefined where the file does not say. */
  readonly layers: readonly boolean[] | undefined;
}

/** Of models whose tokens have several hidden states; one, and all else 0, without. */
export interface StreamNumbers {
  readonly count: number;
  /** The one that goes through the layers. */
  readonly active: number;
  /** Columns of the product of low rank beside the mixer. */
  readonly lowRank: number;
  /** Of each layer, how many standard deviations above its mean a gate is cut; -∞ for none. */
  readonly sparsities: readonly number[] | undefined;
}

/** Parameters of xIELU, one of each for each layer. */
export interface XieluNumbers {
  readonly alphaP: readonly number[];
  readonly alphaN: readonly number[];
  readonly beta: readonly number[];
  readonly eps: readonly number[];
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
export interface HParams extends LayerNumbers, ExpertNumbers, RopeNumbers {
  readonly architecture: string;
  readonly blockCount: number;
  /** Of each block. */
  readonly layers: readonly LayerNumbers[];
  /** Numbers that a layer knows of a token itself; 0 without. */
  readonly layerInputLength: number;
  readonly contextLength: number;
  readonly embeddingLength: number;
  /** The epsilon inside the root of every norm. */
  readonly normEpsilon: number;
  readonly ropeFreqBase: number;
  /** Tokens a query sees, itself included; undefined without a window. */
  readonly slidingWindow: number | undefined;
  /** RoPE's base in layers with a window, if it is another there. */
  readonly windowRopeFreqBase: number | undefined;
  /** Dimensions that RoPE turns there: those of layers that a file says have a window have it already. */
  readonly windowRopeDimensionCount: number;
  readonly alibiMaxBias: number | undefined;
  /** Limit of queries, keys and values. */
  readonly clampQkv: number | undefined;
  readonly attentionScale: number | undefined;
  readonly attentionSoftcap: number | undefined;
  /** See Temperature (traits.ts); undefined where the file does not say. */
  readonly temperatureScale: number | undefined;
  readonly temperatureLength: number | undefined;
  /** Whether queries and keys are normed without weights; undefined where the file does not say. */
  readonly bareQkNorm: boolean | undefined;
  readonly valueScale: number | undefined;
  readonly logitSoftcap: number | undefined;
  readonly logitScale: number | undefined;
  readonly residualScale: number | undefined;
  readonly embeddingScale: number | undefined;
  /** Of feed-forwards, by transformers' name; undefined where it is the architecture's usual one. */
  readonly hiddenActivation: string | undefined;
  /** Of each layer, before softplus; undefined without. */
  readonly xielu: XieluNumbers | undefined;
  /** Whether mixer and feed-forward both see what a layer begins with; undefined where the file does not say. */
  readonly parallelResidual: boolean | undefined;
  /** Of models whose texts begin with a prefix that is seen as a whole. */
  readonly prefixTokens: PrefixTokens | undefined;
  /** All 0 without latent attention. */
  readonly latent: LatentNumbers;
  readonly streams: StreamNumbers;
  /** All 0 without state spaces. */
  readonly ssm: SsmNumbers;
  readonly vocabSize: number;
}

/** Whether a block's feed-forward is a mixture of experts; without a block, whether any is. */
export function hasExperts(hparams: HParams, layer?: number): boolean {
  const { expertCount, leadingDenseCount, expertLayerStep, expertLayers } = hparams;
  if (expertCount === 0 || layer === undefined) return expertCount > 0;
  if (expertLayers !== undefined) return expertLayers[layer]!;
  return layer >= leadingDenseCount && (layer + 1) % expertLayerStep === 0;
}

export function isDense(hparams: HParams, layer?: number): boolean {
  return !hasExperts(hparams, layer);
}

/** Whether a block of a hybrid has attention: where it has none, no tokens are its keys. */
export function hasAttention({ layers }: HParams, layer: number | undefined): boolean {
  return layers[layer!]!.headCountKv > 0;
}

// Tables of tensors are made as long as the numbers say, before the file is asked whether it has so many.
export const MAX_LAYERS = 4096;
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
  const blockCount = count("block_count");
  if (blockCount > MAX_LAYERS || blockCount * expertCount > MAX_EXPERTS) {
    throw badInput(t`${name}: ${blockCount} layers of ${expertCount} experts, more than any model has`);
  }
  const { common, layers } = readLayers(keys, architecture, { blockCount, embeddingLength });
  return {
    architecture,
    ...common,
    blockCount,
    layers,
    layerInputLength: count("embedding_length_per_layer_input", 0),
    contextLength,
    embeddingLength,
    ...readExperts(keys, architecture, { ...common, blockCount }),
    normEpsilon: readEpsilon(keys, architecture),
    ropeFreqBase: keys.positive(`${architecture}.rope.freq_base`, 10000),
    ...readRopeScaling(keys, architecture, contextLength),
    slidingWindow: window > 0 ? window : undefined,
    windowRopeFreqBase: some("rope.freq_base_swa"),
    windowRopeDimensionCount: count("rope.dimension_count_swa", common.ropeDimensionCount),
    alibiMaxBias: some("attention.max_alibi_bias"),
    clampQkv: some("attention.clamp_kqv"),
    attentionScale: some("attention.scale"),
    attentionSoftcap: some("attn_logit_softcapping"),
    temperatureScale: some("attention.temperature_scale"),
    temperatureLength: some("attention.temperature_length"),
    bareQkNorm: keys.flag(`${architecture}.attention.qk_norm`),
    valueScale: some("attention.value_scale"),
    logitSoftcap: some("final_logit_softcapping"),
    logitScale: some("logit_scale"),
    residualScale: some("residual_scale"),
    embeddingScale: some("embedding_scale"),
    xielu: readXielu(keys, blockCount),
    hiddenActivation: keys.string(`${architecture}.hidden_activation`, "") || undefined,
    parallelResidual: keys.flag(`${architecture}.use_parallel_residual`),
    prefixTokens: readPrefixTokens(keys),
    latent: readLatent(keys, architecture, { ...common, blockCount, embeddingLength }),
    streams: readStreams(keys, architecture, blockCount),
    ssm: readSsm(keys, architecture, blockCount, common.headCount),
    vocabSize: readVocabSize(keys, architecture),
  };
}

function readXielu(keys: KeyReader, layers: number): XieluNumbers | undefined {
  const [alphaP, alphaN, beta, eps] = ["alpha_p", "alpha_n", "beta", "eps"].map((key) =>
    keys.numbers(`xielu.${key}`, layers),
  );
  return alphaP && alphaN && beta && eps && { alphaP, alphaN, beta, eps };
}

/** Files of llama.cpp do not say the rank, which it has fixed. */
function readStreams(keys: KeyReader, architecture: string, blockCount: number): StreamNumbers {
  const count = keys.count(`${architecture}.altup.num_inputs`, 0);
  const active = keys.count(`${architecture}.altup.active_idx`, 0);
  if (active >= Math.max(1, count) || count > 64) {
    throw badInput(t`${keys.name}: hidden state ${active} of ${count} cannot go through the layers`);
  }
  return {
    count: Math.max(1, count),
    active,
    lowRank: keys.count(`${architecture}.laurel_rank`, count > 0 ? 64 : 0),
    sparsities: keys.numbers(`${architecture}.activation_sparsity_scale`, blockCount),
  };
}

function readPrefixTokens(keys: KeyReader): PrefixTokens | undefined {
  const id = (name: string) => keys.optional(`tokenizer.ggml.${name}_token_id`);
  const [start, gmask, mask] = [id("bos"), id("gmask"), id("mask")];
  return start === undefined || gmask === undefined ? undefined : { start, gmask, mask };
}

function readSsm(keys: KeyReader, architecture: string, blockCount: number, headCount: number): SsmNumbers {
  const some = (key: string) => keys.optional(`${architecture}.ssm.${key}`);
  const count = (key: string, fallback: number) => keys.count(`${architecture}.${key}`, fallback);
  // Kimi's delta nets have as many heads as its attention.
  const width = count("kda.head_dim", 0);
  const heads = width > 0 ? headCount : 0;
  const innerSize = count("ssm.inner_size", width * heads);
  if (innerSize % 4 !== 0) {
    throw new LlqError(
      "unsupported",
      t`${keys.name}: ${innerSize} channels of a state space, no multiple of 4`,
    );
  }
  return {
    innerSize,
    stateSize: count("ssm.state_size", width),
    convKernel: count("ssm.conv_kernel", count("shortconv.l_cache", 0)),
    timeStepRank: count("ssm.time_step_rank", heads),
    groupCount: count("ssm.group_count", heads),
    stepEpsilon: readStepEpsilon(keys, architecture),
    normsBeforeGate: keys.flag(`${architecture}.ssm.norm_before_gate`) ?? false,
    leastStep: some("time_step_min") ?? 0,
    mostStep: some("time_step_max") ?? Number.POSITIVE_INFINITY,
    layers: readRecurrent(keys, architecture, blockCount),
  };
}

/** Files of llama.cpp have one epsilon for all norms; the second key is llq's own. */
function readStepEpsilon(keys: KeyReader, architecture: string): number | undefined {
  if (keys.flag(`${architecture}.ssm.dt_b_c_rms`) !== true) return undefined;
  return (
    keys.optional(`${architecture}.ssm.dt_b_c_rms_epsilon`) ??
    keys.optional(`${architecture}.attention.layer_norm_rms_epsilon`)
  );
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

function readVocabSize(keys: KeyReader, architecture: string): number {
  const key = `${architecture}.vocab_size`;
  // strings of the tokens are made when they are asked for
  const tokens = keys.metadata.has(key) ? undefined : keys.metadata.get("tokenizer.ggml.tokens")?.value;
  return keys.count(key, Array.isArray(tokens) ? tokens.length : undefined);
}

/** The numbers of a block; outside of blocks, the model's. */
export function numbersOf(hparams: HParams, layer: number | undefined): LayerNumbers {
  return layer === undefined ? hparams : hparams.layers[layer]!;
}
