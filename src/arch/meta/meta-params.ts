import * as v from "valibot";
import type { Metadata } from "../../../formats/container.js";
import { badInput } from "../../../formats/errors.js";
import { faultsOf } from "../../../formats/faults.js";
import { count, positive } from "../config.js";
import { mistralConfig, mistralFields } from "./mistral-params.js";

/** What Meta's params.json says, and Mistral's, and what llama2.c's training keeps as `model_args`. */
const schema = v.looseObject({
  dim: count,
  n_layers: count,
  n_heads: count,
  n_kv_heads: v.nullish(count),
  head_dim: v.nullish(count),
  /** -1: as many as the embedding has rows. */
  vocab_size: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(-1), v.maxValue(2 ** 31 - 1))),
  hidden_dim: v.nullish(count),
  multiple_of: v.nullish(count),
  ffn_dim_multiplier: v.nullish(positive),
  norm_eps: v.nullish(positive),
  rope_theta: v.nullish(positive),
  use_scaled_rope: v.nullish(v.boolean()),
  rope_scaling_factor: v.nullish(positive),
  rope_high_freq_factor: v.nullish(positive),
  max_seq_len: v.nullish(count),
  ...mistralFields,
});

export type MetaParams = v.InferOutput<typeof schema>;

/** @throws LlqError `bad-input` naming each field that is missing or out of range */
export function parseParams(file: string, json: unknown): MetaParams {
  const nested = v.safeParse(v.object({ model: v.record(v.string(), v.unknown()) }), json);
  const result = v.safeParse(schema, nested.success ? nested.output.model : json);
  if (result.success) return result.output;
  throw badInput(`${file}: ${faultsOf(result.issues)}`);
}

/** Where training programs keep them in a checkpoint. */
const PLACES = ["model_args.", "params.", "config."];

/** The parameters among a checkpoint's own values; undefined when it has none. */
export function paramsOf(file: string, metadata: Metadata): MetaParams | undefined {
  const place = PLACES.find((each) => metadata.has(`${each}dim`) && metadata.has(`${each}n_layers`));
  if (place === undefined) return undefined;
  const fields = [...metadata].filter(([key]) => key.startsWith(place));
  const plain = fields.map(([key, { value }]) => [
    key.slice(place.length),
    typeof value === "bigint" ? Number(value) : value,
  ]);
  return parseParams(file, Object.fromEntries(plain));
}

/** What the tensors say that the parameters may not. */
export interface MetaShapes {
  /** Rows of the embedding. */
  readonly vocab: number;
  /** Rows of w1. */
  readonly ffn: number;
}

/**
 * The config.json that transformers' conversion would write.
 * @throws LlqError `unsupported` for models that Meta's and Mistral's own formats have and this program does not
 */
export function configOf(file: string, params: MetaParams, shapes: MetaShapes): Record<string, unknown> {
  const { vocab_size: vocab } = params;
  return {
    architectures: ["LlamaForCausalLM"],
    hidden_size: params.dim,
    num_hidden_layers: params.n_layers,
    num_attention_heads: params.n_heads,
    num_key_value_heads: params.n_kv_heads,
    head_dim: params.head_dim,
    intermediate_size: feedForwardLength(params) ?? shapes.ffn,
    vocab_size: vocab == null || vocab < 0 ? shapes.vocab : vocab,
    max_position_embeddings: contextLength(params),
    rms_norm_eps: params.norm_eps ?? 1e-5,
    rope_theta: params.rope_theta,
    rope_scaling: ropeScaling(params),
    ...(typeof params.sliding_window === "number" && { sliding_window: params.sliding_window }),
    ...mistralConfig(file, params),
  };
}

/** Two thirds of 4 × dim, times the multiplier, rounded up: FeedForward in Meta's model.py. */
function feedForwardLength({ dim, hidden_dim: given, multiple_of, ffn_dim_multiplier }: MetaParams) {
  if (given != null || multiple_of == null) return given ?? undefined;
  const twoThirds = Math.floor((8 * dim) / 3);
  const wanted = Math.floor((ffn_dim_multiplier ?? 1) * twoThirds);
  return multiple_of * Math.ceil(wanted / multiple_of);
}

/**
 * No release says its context. Scaled RoPE came with 3.1, its base of 500,000 with 3, the others differ in
 * `norm_eps`; only LLaMA-65B has Llama 2's, and is told by its size without shared heads.
 */
function contextLength(params: MetaParams): number {
  const told = params.max_position_embeddings ?? params.max_seq_len;
  if (told != null) return told;
  if (params.use_scaled_rope === true) return 131072;
  if (params.rope_theta === 500000) return 8192;
  if (params.vocab_size === 131072) return 131072; // with tekken
  if (params.rope_theta === 1000000) return params.hidden_dim == null ? 16384 : 32768; // Code Llama; Mistral
  if (params.hidden_dim != null) return 32768; // Mistral 7B v0.1
  const first = params.norm_eps === 1e-6 || (params.dim === 8192 && params.n_kv_heads == null);
  return first ? 2048 : 4096;
}

/** apply_scaling in Meta's model.py has 8 for all; the factor that 3.2 was trained with is in its Hugging Face form. */
function ropeScaling(params: MetaParams): Record<string, unknown> | undefined {
  if (params.use_scaled_rope !== true) return undefined;
  const isLlama32 = params.dim < 4096;
  return {
    rope_type: "llama3",
    factor: params.rope_scaling_factor ?? (isLlama32 ? 32 : 8),
    low_freq_factor: 1,
    high_freq_factor: params.rope_high_freq_factor ?? 4,
    original_max_position_embeddings: 8192,
  };
}
