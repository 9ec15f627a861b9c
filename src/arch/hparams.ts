import type { Metadata, MetaField } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { windowPeriodOf } from "./windows.js";

/** How RoPE angles are stretched beyond the trained context, in GGUF's terms. */
export type RopeScaling =
  | { readonly type: "none" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
    };

/** Of a state space model. */
export interface SsmNumbers {
  /** Channels; a multiple of 4. */
  readonly innerSize: number;
  /** Numbers that make up a channel's state. */
  readonly stateSize: number;
  /** Tokens that the convolution sees. */
  readonly convKernel: number;
  readonly timeStepRank: number;
}

/** Tokens that part a text: behind the first `start`, text is generated in place of `gmask`, or else of `mask`. */
export interface PrefixTokens {
  readonly start: number;
  readonly gmask: number;
  readonly mask: number | undefined;
}

/** A decoder's numbers, read from GGUF metadata whatever the model came from. */
export interface HParams {
  readonly architecture: string;
  readonly blockCount: number;
  readonly contextLength: number;
  readonly embeddingLength: number;
  readonly feedForwardLength: number;
  /** Experts of a layer, and how many of them a token goes through; 0 without. */
  readonly expertCount: number;
  readonly expertUsedCount: number;
  readonly expertFeedForwardLength: number;
  /** Of the expert that every token goes through; 0 without. */
  readonly sharedExpertFeedForwardLength: number;
  /** 0 in models without attention. */
  readonly headCount: number;
  readonly headCountKv: number;
  /** Width of a query or key head. */
  readonly keyLength: number;
  /** Width of a value head. */
  readonly valueLength: number;
  /** The epsilon inside the root of every norm. */
  readonly normEpsilon: number;
  /** Leading dimensions of a head that RoPE turns. */
  readonly ropeDimensionCount: number;
  readonly ropeFreqBase: number;
  readonly ropeScaling: RopeScaling;
  /** Cosine and sine are longer by this; YaRN's own part of it not counted. */
  readonly ropeAttnFactor: number;
  /** The context that RoPE was trained with before it was stretched. */
  readonly ropeOriginalContext: number;
  /** Tokens a query sees, itself included; undefined without a window. */
  readonly slidingWindow: number | undefined;
  /** Of so many layers the last has no window; undefined where the file does not say. */
  readonly windowPeriod: number | undefined;
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
const MAX_HEADS = 2 ** 16;
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
  // State space models have no heads, and may have no feed-forward.
  const least = metadata.has(`${architecture}.ssm.state_size`) ? 0 : undefined;
  const headCount = count("attention.head_count", least);
  const headCountKv = count("attention.head_count_kv", headCount);
  if (headCount > MAX_HEADS) throw badInput(`${name}: ${headCount} heads, more than any model has`);
  if (headCount > 0 && headCount % headCountKv !== 0) {
    throw badInput(`${name}: ${headCount} heads cannot share ${headCountKv} key/value heads evenly`);
  }
  if (
    headCount > 0 &&
    embeddingLength % headCount !== 0 &&
    !metadata.has(`${architecture}.attention.key_length`)
  ) {
    throw badInput(`${name}: ${embeddingLength} columns do not divide into ${headCount} heads`);
  }
  const keyLength = count("attention.key_length", headCount > 0 ? embeddingLength / headCount : 0);
  const ropeDimensionCount = count("rope.dimension_count", keyLength);
  if (ropeDimensionCount % 2 !== 0 || ropeDimensionCount > keyLength) {
    throw badInput(`${name}: RoPE over ${ropeDimensionCount} of ${keyLength} dimensions`);
  }
  const contextLength = count("context_length");
  const window = count("attention.sliding_window", 0);
  const feedForwardLength = count("feed_forward_length", least);
  const expertCount = count("expert_count", 0);
  const expertUsedCount = count("expert_used_count", 0);
  if (expertUsedCount > expertCount) {
    throw badInput(`${name}: tokens cannot go through ${expertUsedCount} of ${expertCount} experts`);
  }
  const blockCount = count("block_count");
  if (blockCount > MAX_LAYERS || blockCount * expertCount > MAX_EXPERTS) {
    throw badInput(`${name}: ${blockCount} layers of ${expertCount} experts, more than any model has`);
  }
  return {
    architecture,
    blockCount,
    contextLength,
    embeddingLength,
    feedForwardLength,
    expertCount,
    expertUsedCount,
    expertFeedForwardLength: count("expert_feed_forward_length", feedForwardLength),
    sharedExpertFeedForwardLength: count("expert_shared_feed_forward_length", 0),
    headCount,
    headCountKv,
    keyLength,
    valueLength: count("attention.value_length", keyLength),
    normEpsilon: readEpsilon(keys, architecture),
    ropeDimensionCount,
    ropeFreqBase: keys.positive(`${architecture}.rope.freq_base`, 10000),
    ropeScaling: readScaling(keys, architecture),
    ropeAttnFactor: keys.positive(`${architecture}.rope.scaling.attn_factor`, 1),
    ropeOriginalContext: keys.count(`${architecture}.rope.scaling.original_context_length`, contextLength),
    slidingWindow: window > 0 ? window : undefined,
    windowPeriod: readWindowPeriod(keys, architecture),
    windowRopeFreqBase: some("rope.freq_base_swa"),
    alibiMaxBias: some("attention.max_alibi_bias"),
    clampQkv: some("attention.clamp_kqv"),
    attentionScale: some("attention.scale"),
    attentionSoftcap: some("attn_logit_softcapping"),
    logitSoftcap: some("final_logit_softcapping"),
    logitScale: some("logit_scale"),
    residualScale: some("residual_scale"),
    prefixTokens: readPrefixTokens(keys),
    ssm: readSsm(name, count),
    vocabSize: readVocabSize(keys, architecture),
  };
}

function readPrefixTokens(keys: KeyReader): PrefixTokens | undefined {
  const id = (name: string) => keys.optional(`tokenizer.ggml.${name}_token_id`);
  const [start, gmask, mask] = [id("bos"), id("gmask"), id("mask")];
  return start === undefined || gmask === undefined ? undefined : { start, gmask, mask };
}

function readSsm(name: string, count: (key: string, fallback: number) => number): SsmNumbers {
  const innerSize = count("ssm.inner_size", 0);
  if (innerSize % 4 !== 0) {
    throw new LlqError("unsupported", `${name}: ${innerSize} channels of a state space, no multiple of 4`);
  }
  return {
    innerSize,
    stateSize: count("ssm.state_size", 0),
    convKernel: count("ssm.conv_kernel", 0),
    timeStepRank: count("ssm.time_step_rank", 0),
  };
}

/** Of RMS norms, or of layer norms. */
function readEpsilon(keys: KeyReader, architecture: string): number {
  const rms = `${architecture}.attention.layer_norm_rms_epsilon`;
  const layer = `${architecture}.attention.layer_norm_epsilon`;
  return keys.positive(keys.metadata.has(layer) && !keys.metadata.has(rms) ? layer : rms);
}

/** Files say it as a number, or as a flag for each layer. */
function readWindowPeriod(keys: KeyReader, architecture: string): number | undefined {
  const key = `${architecture}.attention.sliding_window_pattern`;
  const value = keys.metadata.get(key)?.value;
  if (!Array.isArray(value)) return keys.optional(key);
  return windowPeriodOf(keys.name, value.map(Boolean));
}

function readScaling(keys: KeyReader, architecture: string): RopeScaling {
  const key = (last: string) => `${architecture}.rope.scaling.${last}`;
  // As llama.cpp has it: a factor without a type is linear, and files of 2023 have another name for it.
  const type = keys.string(key("type"), "linear");
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

/** Typed access to metadata, with the model's name in every message. */
class KeyReader {
  readonly name: string;
  readonly metadata: Metadata;

  constructor(name: string, metadata: Metadata) {
    this.name = name;
    this.metadata = metadata;
  }

  /** A whole number above 0; or `fallback` when the key is absent. */
  count(key: string, fallback?: number): number {
    const value = this.#number(key, fallback);
    if (!Number.isSafeInteger(value) || value < 0 || (value === 0 && fallback !== 0)) {
      throw badInput(`${this.name}: ${key} would be ${value}, which is no count`);
    }
    return value;
  }

  positive(key: string, fallback?: number): number {
    const value = this.#number(key, fallback);
    if (value > 0 && value < Number.POSITIVE_INFINITY) return value;
    throw badInput(`${this.name}: ${key} is ${value}; a positive number is needed`);
  }

  /** A positive number; undefined when the key is absent or 0. */
  optional(key: string): number | undefined {
    const value = this.#number(key, 0);
    return value === 0 ? undefined : this.positive(key);
  }

  string(key: string, fallback?: string): string {
    const field = this.metadata.get(key);
    if (field === undefined && fallback !== undefined) return fallback;
    if (typeof field?.value === "string") return field.value;
    throw this.#unusable(key, field, "text");
  }

  #number(key: string, fallback: number | undefined): number {
    const field = this.metadata.get(key);
    if (field === undefined && fallback !== undefined) return fallback;
    // Some keys may hold one value a layer; one that is the same everywhere is as good as a number.
    const value = Array.isArray(field?.value) ? uniform(field.value) : field?.value;
    if (typeof value === "bigint") return Number(value);
    if (typeof value === "number") return value;
    throw this.#unusable(key, field, "a number");
  }

  #unusable(key: string, field: MetaField | undefined, wanted: string): LlqError {
    const found = field === undefined ? "is missing" : `is of type ${field.type}`;
    return badInput(`${this.name}: metadata key ${key} ${found}; ${wanted} is needed`);
  }
}

function uniform(values: readonly unknown[]): unknown {
  return values.every((value) => value === values[0]) ? values[0] : undefined;
}
