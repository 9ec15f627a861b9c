import type { BlockMatrix, Norm, Role } from "../role.js";
import type { TensorRow } from "./architecture.js";
import type { Dimension } from "./dimensions.js";
import type { HParams } from "./hparams.js";

// Rows of the families' tables. GGUF has one name for a role, whatever the family.

type Options = Omit<TensorRow, "name" | "source" | "role" | "shape">;

/** GGUF names of roles whose name is another than the role's own; `{i}` is the block's number. */
const NAMES: Readonly<Partial<Record<Role, string>>> = {
  attn_kv_a: "attn_kv_a_mqa",
  attn_post_norm: "post_attention_norm",
  ffn_post_norm: "post_ffw_norm",
  ffn_pre_norm_2: "pre_ffw_norm_2",
  ffn_post_norm_1: "post_ffw_norm_1",
  ffn_post_norm_2: "post_ffw_norm_2",
  router: "ffn_gate_inp",
  output_bias: "output",
  router_bias: "ffn_gate_inp",
  router_scale: "ffn_gate_inp",
  expert_scales: "ffn_down_exps",
  router_shexp: "ffn_gate_inp_shexp",
  selection_bias: "exp_probs_b",
  ssm_conv: "ssm_conv1d",
  ssm_conv_q: "ssm_conv1d_q",
  ssm_conv_k: "ssm_conv1d_k",
  ssm_conv_v: "ssm_conv1d_v",
  layer_input_model: "per_layer_model_proj",
  layer_input_norm: "per_layer_proj_norm",
  layer_input_gate: "inp_gate",
  layer_input_proj: "proj",
  layer_input_post_norm: "post_norm",
  shortconv_in: "shortconv.in_proj",
  shortconv_conv: "shortconv.conv",
  shortconv_out: "shortconv.out_proj",
};

const OUTSIDE: ReadonlySet<Role> = new Set([
  "token_embd",
  "token_embd_norm",
  "position_embd",
  "output_norm",
  "output",
  "output_bias",
  "per_layer_token_embd",
  "layer_input_model",
  "layer_input_norm",
  "altup_proj",
  "altup_unembd_proj",
]);

const divisors = (role: "rope_freqs" | "rope_factors_long" | "rope_factors_short"): TensorRow => ({
  name: `${role}.weight`,
  role,
  shape: ["rope/2"],
  optional: true,
});

/** RoPE's divisors of the longrope kind. In the tables of families whose divisors llama.cpp reads. */
export const ropeFactors: readonly TensorRow[] = [
  divisors("rope_factors_long"),
  divisors("rope_factors_short"),
];

/** The same of the llama3 kind. */
export const ropeFreqs: TensorRow = divisors("rope_freqs");

/** Of both kinds. llq reads them in all models. */
export const ropeDivisors: readonly TensorRow[] = [ropeFreqs, ...ropeFactors];

/** One tensor; `source` is the whole name in checkpoints. */
export function tensor(
  role: Role,
  shape: readonly Dimension[],
  source: TensorRow["source"],
  options: Options = {},
  suffix = ".weight",
): TensorRow {
  const name = `${OUTSIDE.has(role) ? "" : "blk.{i}."}${NAMES[role] ?? role}${suffix}`;
  return { name, role, shape, ...(source === undefined ? {} : { source }), ...options };
}

interface WithBias extends Options {
  /** Absent: there is none, in any file. */
  readonly bias?: "always" | "optional";
}

/** A matrix [rows, columns] and its bias; `source` is what comes before `.weight` and `.bias`. */
export function linear(
  role: BlockMatrix,
  shape: readonly [rows: Dimension, columns: Dimension],
  source: string | readonly string[],
  { bias, ...options }: WithBias = {},
): TensorRow[] {
  const weight = tensor(role, shape, withSuffix(source, ".weight"), options);
  if (bias === undefined) return [weight];
  // Values are changed in the matrix alone, and a vector has no columns to exchange.
  const { steps, transposed, storedShape, ...own } = options;
  return [weight, biasRow(`${role}_bias`, role, shape[0], source, bias, own)];
}

/** A norm and its bias. */
export function norm(
  role: Norm,
  length: Dimension,
  source: string | readonly string[],
  { bias, ...options }: WithBias = {},
): TensorRow[] {
  const weight = tensor(role, [length], withSuffix(source, ".weight"), options);
  if (bias === undefined) return [weight];
  const { steps, ...own } = options;
  return [weight, biasRow(`${role}_bias`, role, length, source, bias, own)];
}

function biasRow(
  role: Role,
  of: Role,
  length: Dimension,
  source: string | readonly string[],
  bias: "always" | "optional",
  options: Options,
): TensorRow {
  const { name } = tensor(of, [length], undefined, {}, ".bias");
  const optional = bias === "optional" ? ({ optional: true } as const) : {};
  return { name, role, shape: [length], source: withSuffix(source, ".bias"), ...options, ...optional };
}

function withSuffix(source: string | readonly string[], suffix: string): string | string[] {
  return typeof source === "string" ? source + suffix : source.map((each) => each + suffix);
}

/**
 * The stacked experts of a mixture; `source` has `{e}` where the expert's number is, and then the matrix. It may be
 * several: transformers 5 calls every family's module `mlp.experts`.
 */
export function experts(
  source: string | readonly string[],
  names: { readonly gate: string; readonly down: string; readonly up: string },
  options: Options = {},
): TensorRow[] {
  const stacked = (
    role: "ffn_gate_exps" | "ffn_down_exps" | "ffn_up_exps",
    shape: Dimension[],
    name: string,
  ) => tensor(role, ["experts", ...shape], withSuffix(source, `.${name}.weight`), options);
  return [
    stacked("ffn_gate_exps", ["expertFfn", "embd"], names.gate),
    stacked("ffn_down_exps", ["embd", "expertFfn"], names.down),
    stacked("ffn_up_exps", ["expertFfn", "embd"], names.up),
  ];
}

/** The norm before the feed-forward in architectures whose GGUF files call it after what it stands behind. */
export function normBehindAttention(source: string): TensorRow {
  return { ...tensor("ffn_norm", ["embd"], `${source}.weight`), name: "blk.{i}.post_attention_norm.weight" };
}

/** What layers know of tokens themselves, by transformers' names; models without have no such tensors. */
export const layerInputs: readonly TensorRow[] = [
  tensor("per_layer_token_embd", ["vocab", "layerInputs"], "model.embed_tokens_per_layer.weight", {
    when: hasLayerInputs,
  }),
  tensor("layer_input_model", ["layerInputs", "embd"], "model.per_layer_model_projection.weight", {
    when: hasLayerInputs,
  }),
  ...norm("layer_input_norm", "layerInput", "model.per_layer_projection_norm", { when: hasLayerInputs }),
  ...linear("layer_input_gate", ["layerInput", "embd"], "model.layers.{i}.per_layer_input_gate", {
    when: hasLayerInputs,
  }),
  ...linear("layer_input_proj", ["embd", "layerInput"], "model.layers.{i}.per_layer_projection", {
    when: hasLayerInputs,
  }),
  ...norm("layer_input_post_norm", "embd", "model.layers.{i}.post_per_layer_input_norm", {
    when: hasLayerInputs,
  }),
];

function hasLayerInputs({ layerInputLength }: HParams): boolean {
  return layerInputLength > 0;
}

/** What is added to an expert's score when experts are chosen; `source` is the whole name in checkpoints. */
export function selectionBias(source: string | readonly string[], options: Options = {}): TensorRow {
  return tensor("selection_bias", ["experts"], source, options, ".bias");
}

/** An MLP that all tokens go through, beside those that are chosen. */
export function sharedExpert(
  mlp: string,
  options: WithBias = {},
  width: Dimension = "sharedFfn",
): TensorRow[] {
  return [
    ...linear("ffn_gate_shexp", [width, "embd"], `${mlp}.gate_proj`, options),
    ...linear("ffn_up_shexp", [width, "embd"], `${mlp}.up_proj`, options),
    ...linear("ffn_down_shexp", ["embd", width], `${mlp}.down_proj`, options),
  ];
}

/** Of queries, keys and values apart; with the output's; and of a feed-forward with a gate. */
export const QKV_BIASES = ["attn_q_bias", "attn_k_bias", "attn_v_bias"] as const satisfies readonly Role[];
export const ATTENTION_BIASES = [...QKV_BIASES, "attn_output_bias"] as const satisfies readonly Role[];
export const MLP_BIASES = [
  "ffn_gate_bias",
  "ffn_up_bias",
  "ffn_down_bias",
] as const satisfies readonly Role[];

/** Queries, keys and values of their own, by the names of transformers' Llama. */
export function separateQkv(
  attention: string,
  options: Partial<Record<"q" | "k" | "v", Options>> & Pick<WithBias, "bias"> = {},
): TensorRow[] {
  const { bias } = options;
  const with_ = (part: "q" | "k" | "v"): WithBias => ({ ...options[part], ...(bias && { bias }) });
  return [
    ...linear("attn_q", ["q", "embd"], `${attention}.q_proj`, with_("q")),
    ...linear("attn_k", ["kv", "embd"], `${attention}.k_proj`, with_("k")),
    ...linear("attn_v", ["v", "embd"], `${attention}.v_proj`, with_("v")),
  ];
}

/** A feed-forward with a gate, by the names of transformers' Llama. */
export function gatedMlp(mlp: string, options: WithBias = {}): TensorRow[] {
  return [
    ...linear("ffn_gate", ["ffn", "embd"], `${mlp}.gate_proj`, options),
    ...linear("ffn_up", ["ffn", "embd"], `${mlp}.up_proj`, options),
    ...linear("ffn_down", ["embd", "ffn"], `${mlp}.down_proj`, options),
  ];
}

/** What GGUF has before the blocks. */
export const BEFORE_BLOCKS: ReadonlySet<Role> = new Set([
  "token_embd",
  "per_layer_token_embd",
  "token_embd_norm",
  "token_embd_norm_bias",
  "position_embd",
  "rope_freqs",
  "rope_factors_long",
  "rope_factors_short",
]);
