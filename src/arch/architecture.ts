import type { MetaField } from "../../formats/container.js";
import { badInput } from "../../formats/errors.js";
import type { Role, Transform } from "../tensor.js";
import type { HfConfig } from "./config.js";
import type { HParams } from "./hparams.js";

/** The lengths that tensor shapes are made of. */
export type Dimension = "vocab" | "embd" | "q" | "kv" | "v" | "attn" | "ffn" | "rope/2";

/** One tensor of an architecture, or one of every block when the names hold `{i}`. */
export interface TensorRow {
  /** GGUF name. */
  readonly name: string;
  /** Hugging Face name; absent for a tensor that is computed. */
  readonly source?: string;
  readonly role: Role;
  /** Outermost dimension first; checked against the file. */
  readonly shape: readonly Dimension[];
  /** From the Hugging Face layout to GGUF's. */
  readonly transform?: (hparams: HParams) => Transform;
  /** May be absent (biases, RoPE divisors). */
  readonly optional?: true;
}

/** What the evaluator has to know of a decoder's block, beyond its numbers. */
export interface DecoderTraits {
  /** Which dimensions of a head RoPE turns together: neighbours 2i and 2i + 1, or halves i and i + d/2. */
  readonly rope: "neighbours" | "halves";
}

/** A model family: what its checkpoints hold, how that becomes GGUF, and how the decoder computes. */
export interface Architecture {
  /** general.architecture */
  readonly name: string;
  /** The strings in config.json's `architectures`. */
  readonly models: readonly string[];
  /** `<name>.*` metadata for a Hugging Face config. */
  readonly metadata: (config: HfConfig) => ReadonlyMap<string, MetaField>;
  readonly tensors: readonly TensorRow[];
  /** Tensors of checkpoints that hold nothing of the model, such as cached RoPE frequencies. */
  readonly ignored: readonly string[];
  /** Values of the tensors that no checkpoint holds and GGUF wants, by GGUF name. */
  readonly computed: (config: HfConfig) => ReadonlyMap<string, readonly number[]>;
  readonly decoder: DecoderTraits;
}

export function dimension(name: Dimension, h: HParams): number {
  const lengths: Record<Dimension, number> = {
    vocab: h.vocabSize,
    embd: h.embeddingLength,
    q: h.headCount * h.keyLength,
    kv: h.headCountKv * h.keyLength,
    v: h.headCountKv * h.valueLength,
    attn: h.headCount * h.valueLength,
    ffn: h.feedForwardLength,
    "rope/2": h.ropeDimensionCount / 2,
  };
  return lengths[name];
}

/** Key/value heads of a Hugging Face config; absent means as many as query heads. */
export function headsKv(config: HfConfig): number {
  return config.num_key_value_heads ?? config.num_attention_heads;
}

/** Head width of a Hugging Face config. @throws LlqError `bad-input` when heads do not divide the width */
export function headDim(config: HfConfig): number {
  const { hidden_size: hidden, num_attention_heads: heads } = config;
  const width = config.head_dim ?? hidden / heads;
  if (Number.isInteger(width)) return width;
  throw badInput(`config.json: hidden_size ${hidden} does not divide into ${heads} heads`);
}
