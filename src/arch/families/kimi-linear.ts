import * as v from "valibot";
import type { TensorSource } from "../../../formats/container.js";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { count, expectField, flag, layerCount, layerTypes, positive, reader } from "../config.js";
import { type HParams, hasAttention, hasExperts, isDense } from "../hparams.js";
import { experts, linear, norm, selectionBias, sharedExpert, tensor } from "../rows.js";
import { type LatentTraits, perLayer } from "../traits.js";
import { leadingDense } from "./deepseek2.js";
import { expertKeys, hasSharedExperts, none, readExpertFields, routerOf } from "./experts.js";

// Kimi delta attention, and in every fourth layer latent attention that knows no places; experts behind a dense layer.

const layerNumbers = v.array(count);

const schema = v.looseObject({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  model_max_length: v.nullish(count),
  max_position_embeddings: v.nullish(count),
  rms_norm_eps: v.nullish(positive, 1e-5),
  hidden_act: v.nullish(v.string()),
  attention_bias: flag,
  rope_theta: v.nullish(positive),
  q_lora_rank: v.nullish(count),
  kv_lora_rank: v.nullish(count, 512),
  qk_nope_head_dim: v.nullish(count, 128),
  qk_rope_head_dim: v.nullish(count, 64),
  v_head_dim: v.nullish(count, 128),
  mla_use_nope: flag,
  linear_head_dim: v.nullish(count, 128),
  linear_num_heads: v.nullish(count),
  linear_conv_kernel_dim: v.nullish(count, 4),
  linear_attn_config: v.nullish(
    v.looseObject({
      head_dim: v.nullish(count),
      num_heads: v.nullish(count),
      short_conv_kernel_size: v.nullish(count),
      full_attn_layers: v.nullish(layerNumbers),
      kda_layers: v.nullish(layerNumbers),
    }),
  ),
  layer_types: layerTypes,
  mlp_layer_types: layerTypes,
  first_k_dense_replace: v.nullish(none),
  moe_layer_freq: v.nullish(count),
  moe_intermediate_size: v.nullish(count, 1024),
  num_experts: v.nullish(count),
  num_local_experts: v.nullish(count),
  num_experts_per_token: v.nullish(count),
  num_experts_per_tok: v.nullish(count),
  num_shared_experts: v.nullish(none),
  n_shared_experts: v.nullish(none),
  moe_renormalize: flag,
  norm_topk_prob: flag,
  moe_router_activation_func: v.nullish(v.string()),
  num_expert_group: v.nullish(none),
  n_group: v.nullish(none),
  topk_group: v.nullish(none),
  routed_scaling_factor: v.nullish(positive, 2.446),
});

type Config = v.InferOutput<typeof schema>;

/** Which layers have latent attention. @throws LlqError `bad-input` for lists that do not say it of each layer */
function attentionLayers(config: Config): boolean[] {
  const { num_hidden_layers: layers, layer_types: types, linear_attn_config: own } = config;
  if (types != null) {
    if (types.length !== layers) {
      throw badInput(t`config.json: layer_types has ${types.length} entries for ${layers} layers`);
    }
    for (const type of types) expectField("layer_types", type, "linear_attention", "full_attention");
    return types.map((type) => type === "full_attention");
  }
  const [full, kda] = [own?.full_attn_layers, own?.kda_layers];
  // As the class has it.
  if (full == null || kda == null) return perLayer({ blockCount: layers }, (i) => i > 0 && i % 4 === 0);
  // They are counted from 1.
  const said = [...full, ...kda].sort((a, b) => a - b);
  if (said.length === layers && said.every((layer, i) => layer === i + 1)) {
    return perLayer({ blockCount: layers }, (i) => full.includes(i + 1));
  }
  throw badInput(t`config.json: full_attn_layers and kda_layers do not name each of ${layers} layers once`);
}

function readKimi(config: Config): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("attention_bias", config.attention_bias ?? false, false);
  expectField("q_lora_rank", config.q_lora_rank ?? null, null);
  expectField("mla_use_nope", config.mla_use_nope ?? true, true);
  expectField("moe_layer_freq", config.moe_layer_freq ?? 1, 1);
  const { num_attention_heads: heads, kv_lora_rank: rank, qk_rope_head_dim: shared } = config;
  const { linear_attn_config: own, rms_norm_eps: epsilon } = config;
  expectField("linear_num_heads", own?.num_heads ?? config.linear_num_heads ?? heads, heads);
  const kv = attentionLayers(config).map(Number);
  const { keys: ofExperts, remarks } = mixtureKeys(config);
  return {
    vocabSize: config.vocab_size,
    tied: false,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(config.model_max_length ?? config.max_position_embeddings ?? 1 << 20)],
      ["embedding_length", meta.u32(config.hidden_size)],
      ["block_count", meta.u32(config.num_hidden_layers)],
      ["feed_forward_length", meta.u32(config.intermediate_size)],
      ["attention.head_count", meta.u32(heads)],
      ["attention.head_count_kv", meta.i32s(kv)],
      ["attention.layer_norm_rms_epsilon", meta.f32(epsilon)],
      ["attention.kv_lora_rank", meta.u32(rank)],
      ["attention.key_length", meta.u32(rank + shared)],
      ["attention.value_length", meta.u32(config.v_head_dim)],
      ["attention.key_length_mla", meta.u32(config.qk_nope_head_dim + shared)],
      ["attention.value_length_mla", meta.u32(config.v_head_dim)],
      ["rope.dimension_count", meta.u32(shared)],
      ...(config.rope_theta == null ? [] : [["rope.freq_base", meta.f32(config.rope_theta)] as const]),
      ["ssm.conv_kernel", meta.u32(own?.short_conv_kernel_size ?? config.linear_conv_kernel_dim)],
      ["kda.head_dim", meta.u32(own?.head_dim ?? config.linear_head_dim)],
      ...ofExperts,
    ],
    remarks: [
      ...(remarks ?? []),
      ...(epsilon === EPSILON
        ? []
        : [
            t`llama.cpp norms latents, queries and keys with the layers' epsilon ${epsilon}, not with ${EPSILON}`,
          ]),
    ],
  };
}

function mixtureKeys(config: Config): Pick<HfModel, "keys" | "remarks"> {
  const mixture = readExpertFields(
    {
      num_experts: config.num_experts ?? config.num_local_experts ?? 256,
      num_experts_per_tok: config.num_experts_per_token ?? config.num_experts_per_tok ?? 8,
      num_shared_experts: config.num_shared_experts ?? config.n_shared_experts ?? 1,
      moe_intermediate_size: config.moe_intermediate_size,
      norm_topk_prob: config.moe_renormalize ?? config.norm_topk_prob,
      n_group: config.num_expert_group ?? config.n_group,
      topk_group: config.topk_group,
      routed_scaling_factor: config.routed_scaling_factor,
      scoring_func: config.moe_router_activation_func,
    },
    { gating: "sigmoid", normalize: true },
  );
  const { normalize, groupCount, ...numbers } = mixture;
  const isPlain = normalize === false;
  return {
    keys: expertKeys({
      ...numbers,
      leadingDenseCount: leadingDense(config, 1),
      ...((groupCount ?? 1) > 1 && { groupCount }),
      ...(isPlain && { normalize }),
    }),
    remarks: isPlain ? [t`llama.cpp makes experts' weights add up to 1, where the model does not`] : [],
  };
}

const LAYER = "model.layers.{i}";
const SELF = `${LAYER}.self_attn`;
const MOE = `${LAYER}.block_sparse_moe`;
const hasScan = (h: HParams, layer: number | undefined) => !hasAttention(h, layer);
const [scan, own] = [{ when: hasScan }, { when: hasAttention }];

/** [1, channels, 1, kernel] of [channels, 1, kernel], or of [channels, kernel] as others write it. */
function spread(_: string, source: TensorSource): TensorSource {
  const { shape } = source;
  const flat = shape.length === 3 && shape[1] === 1 ? [shape[0]!, shape[2]!] : shape;
  return flat.length === 2 ? { ...source, shape: [1, flat[0]!, 1, flat[1]!] } : source;
}

const delta: readonly TensorRow[] = [
  ...(["q", "k", "v"] as const).flatMap((part) => [
    ...linear(`attn_${part}`, ["inner", "embd"], `${SELF}.${part}_proj`, scan),
    tensor(`ssm_conv_${part}`, ["one", "inner", "one", "conv"], `${SELF}.${part}_conv1d.weight`, {
      ...scan,
      view: spread,
    }),
  ]),
  ...linear("ssm_f_a", ["states", "embd"], `${SELF}.f_a_proj`, scan),
  ...linear("ssm_f_b", ["inner", "states"], `${SELF}.f_b_proj`, scan),
  ...linear("ssm_beta", ["timeStep", "embd"], `${SELF}.b_proj`, scan),
  tensor(
    "ssm_a",
    ["one", "one", "timeStep", "one"],
    `${SELF}.A_log`,
    { ...scan, steps: [{ kind: "negExp" }] },
    "",
  ),
  { ...tensor("ssm_dt_bias", ["inner"], `${SELF}.dt_bias`, scan), name: "blk.{i}.ssm_dt.bias" },
  ...linear("ssm_g_a", ["states", "embd"], `${SELF}.g_a_proj`, scan),
  ...linear("ssm_g_b", ["inner", "states"], `${SELF}.g_b_proj`, scan),
  ...norm("ssm_norm", "states", `${SELF}.o_norm`, scan),
  ...linear("attn_output", ["embd", "inner"], `${SELF}.o_proj`, scan),
];

const latent: readonly TensorRow[] = [
  ...linear("attn_q", ["latentQ", "embd"], `${SELF}.q_proj`, own),
  ...linear("attn_kv_a", ["rank+rope", "embd"], `${SELF}.kv_a_proj_with_mqa`, own),
  ...norm("attn_kv_a_norm", "rank", `${SELF}.kv_a_layernorm`, own),
  tensor("attn_k_b", ["heads", "rank", "latentKey"], `${SELF}.k_b_proj.weight`, own),
  tensor("attn_v_b", ["heads", "latentValue", "rank"], `${SELF}.v_b_proj.weight`, own),
  ...linear("attn_output", ["embd", "latentAttn"], `${SELF}.o_proj`, own),
];

/** Publishers call the dense layers' MLP so, transformers as it calls the others' experts. */
const DENSE = [`${LAYER}.mlp`, MOE] as const;
const both = (name: string) => DENSE.map((mlp) => `${mlp}.${name}`);

const feedForward: readonly TensorRow[] = [
  ...linear("ffn_gate", ["ffn", "embd"], both("gate_proj"), { when: isDense }),
  ...linear("ffn_up", ["ffn", "embd"], both("up_proj"), { when: isDense }),
  ...linear("ffn_down", ["embd", "ffn"], both("down_proj"), { when: isDense }),
  tensor("router", ["experts", "embd"], `${MOE}.gate.weight`, { when: hasExperts }),
  selectionBias(`${MOE}.gate.e_score_correction_bias`, { when: hasExperts }),
  ...experts(`${MOE}.experts.{e}`, { gate: "w1", down: "w2", up: "w3" }, { when: hasExperts }),
  ...sharedExpert(`${MOE}.shared_experts`, { when: hasSharedExperts }),
];

/** Of norms whose epsilon the class does not take from its config. */
const EPSILON = 1e-6;

export const kimiLinear: Architecture = {
  name: "kimi-linear",
  covers: ["Kimi Linear"],
  year: 2025,
  classes: ["KimiLinearForCausalLM"],
  read: reader(schema, readKimi),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.input_layernorm`),
    ...delta,
    ...latent,
    ...norm("ffn_norm", "embd", `${LAYER}.post_attention_layernorm`),
    ...feedForward,
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => {
    const attending: LatentTraits = { kind: "latent", epsilon: EPSILON };
    const router = routerOf(h, { gating: "sigmoid", normalize: true });
    const layers = perLayer(h, (i) => ({
      mixer: hasAttention(h, i) ? attending : { kind: "kda" },
      feedForward: { activation: "silu", router } as const,
    }));
    return { norm: "rms", layers };
  },
};
