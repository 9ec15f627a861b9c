import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, flag, positive, reader } from "../config.js";
import { type HParams, numbersOf } from "../hparams.js";
import { yarnMagnitude } from "../numbers/rope.js";
import { ropeKeys } from "../rope-scaling.js";
import { linear, norm, tensor } from "../rows.js";
import { allLayers, type DecoderTraits, type LatentTraits, type RouterTraits } from "../traits.js";
import { expertFields, expertKeys, mixtureRows, readExpertFields, routerOf } from "./experts.js";
import { temperatureOf } from "./mistral3.js";

// DeepSeek from its second generation, and what is built like it: latent attention, and experts behind some dense layers.

const { num_experts_per_tok: _, moe_intermediate_size: __, ...moreExperts } = expertFields;

export const deepSeekSchema = v.looseObject({
  ...decoderFields,
  ...moreExperts,
  num_experts_per_tok: v.nullish(count),
  moe_intermediate_size: v.nullish(count),
  rms_norm_eps: v.nullish(positive, 1e-6),
  attention_bias: flag,
  mlp_bias: flag,
  q_lora_rank: v.nullish(count),
  kv_lora_rank: v.nullish(count, 512),
  qk_nope_head_dim: v.nullish(count, 128),
  qk_rope_head_dim: v.nullish(count, 64),
  v_head_dim: v.nullish(count, 128),
  topk_method: v.nullish(v.string()),
  mlp_layer_types: v.nullish(v.array(v.string())),
  rope_interleave: flag,
});

const schema = deepSeekSchema;
type Config = v.InferOutput<typeof schema>;

/** What a class takes where its config does not say. */
interface Usual {
  readonly gating: "softmax" | "sigmoid";
  readonly normalize: boolean;
  readonly leadingDense?: number;
}

/** Layers at the beginning that have no experts. @throws LlqError `bad-input`, `unsupported` for another order */
export function leadingDense(
  config: Pick<Config, "mlp_layer_types" | "first_k_dense_replace" | "num_hidden_layers">,
  usual: number,
): number {
  const { mlp_layer_types: types, first_k_dense_replace: given, num_hidden_layers: layers } = config;
  if (types == null) return given ?? usual;
  if (types.length !== layers) {
    throw badInput(t`config.json: mlp_layer_types has ${types.length} entries for ${layers} layers`);
  }
  const dense = types.findIndex((type) => type !== "dense");
  const leading = dense < 0 ? layers : dense;
  if (types.slice(leading).includes("dense"))
    expectField("mlp_layer_types", t`in this order`, t`dense layers first`);
  return leading;
}

/** Of RoPE over halves: the turned rows of queries, and of the latent's key, become neighbours. */
const ofQueries: TensorRow["transform"] = (h, layer) => {
  const { headCount: heads, ropeDimensionCount: turned } = numbersOf(h, layer);
  return { kind: "permuteRope", heads, turned, before: h.latent.keyLength - turned };
};
const ofKey: TensorRow["transform"] = (h, layer) => {
  const { ropeDimensionCount: turned } = numbersOf(h, layer);
  return { kind: "permuteRope", heads: 1, turned, before: h.latent.rank };
};
const IN_HALVES: HfModel["transforms"] = {
  ...{ attn_q: ofQueries, attn_q_b: ofQueries },
  ...{ attn_kv_a: ofKey, attn_kv_a_bias: ofKey },
};

export function readDeepSeek(config: Config, usual: Usual): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("mlp_bias", config.mlp_bias ?? false, false);
  const { kv_lora_rank: rank, qk_rope_head_dim: rotary, qk_nope_head_dim: straight } = config;
  const own = new Set(["attention.head_count_kv", "attention.key_length", "attention.value_length"]);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys({ ...config, head_dim: rotary }).filter(([key]) => !own.has(key)),
      ["attention.head_count_kv", meta.u32(1)],
      ["attention.key_length", meta.u32(rank + rotary)],
      ["attention.value_length", meta.u32(rank)],
      ...(config.q_lora_rank == null
        ? []
        : [["attention.q_lora_rank", meta.u32(config.q_lora_rank)] as const]),
      ["attention.kv_lora_rank", meta.u32(rank)],
      ["attention.key_length_mla", meta.u32(straight + rotary)],
      ["attention.value_length_mla", meta.u32(config.v_head_dim)],
      ...ropeKeys(config, rotary, { logMultiplier: true, logShare: 0.1 }),
      ...mixtureKeys(config, usual),
    ],
    optional: [
      ...(config.attention_bias === true
        ? (["attn_q_a_bias", "attn_kv_a_bias", "attn_output_bias"] as const)
        : []),
      ...((config.scoring_func ?? usual.gating) === "sigmoid" ? (["selection_bias"] as const) : []),
    ],
    ...(config.rope_interleave === false && { transforms: IN_HALVES }),
    remarks: unloadable(config),
  };
}

/** What llama.cpp's loader has no place for. */
function unloadable(config: Config): string[] {
  const { num_hidden_layers: layers, vocab_size: vocabulary, q_lora_rank: queries, attention_bias } = config;
  const isLite = layers === 26 || layers === 27 || (layers === 48 && vocabulary === 128256);
  return [
    ...(queries == null && !isLite
      ? [t`llama.cpp loads models without q_lora_rank if they have 26 or 27 layers, not ${layers}`]
      : []),
    ...(attention_bias === true ? [t`llama.cpp loads no latent attention with biases (attention_bias)`] : []),
  ];
}

function mixtureKeys(config: Config, usual: Usual): HfModel["keys"] {
  const { n_routed_experts: routed, num_experts_per_tok: used, moe_intermediate_size: width } = config;
  if (routed == null) {
    return [
      ["leading_dense_block_count", meta.u32(config.num_hidden_layers)],
      ["expert_feed_forward_length", meta.u32(config.intermediate_size)],
      ["expert_shared_count", meta.u32(0)],
    ];
  }
  if (used == null || width == null) {
    throw badInput(
      t`config.json: ${used == null ? "num_experts_per_tok" : "moe_intermediate_size"} is missing`,
    );
  }
  const mixture = readExpertFields(
    { ...config, num_experts_per_tok: used, moe_intermediate_size: width },
    usual,
  );
  const { gating, normalize, ...numbers } = mixture;
  return expertKeys({
    ...numbers,
    leadingDenseCount: leadingDense(config, usual.leadingDense ?? 0),
    sharedCount: mixture.sharedCount ?? 0,
    ...(gating !== "softmax" || config.scoring_func != null ? { gating } : {}),
    ...(normalize === true ? { normalize } : {}),
  });
}

const self = "model.layers.{i}.self_attn";
const isNarrow = ({ latent }: HParams) => latent.queryRank > 0;
const isWide = ({ latent }: HParams) => latent.queryRank === 0;
const isWhole = ({ latent }: HParams) => latent.isWhole;
const isCut = ({ latent }: HParams) => !latent.isWhole;

const rows: readonly TensorRow[] = [
  tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
  ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
  ...linear("attn_q", ["latentQ", "embd"], `${self}.q_proj`, { when: isWide }),
  ...linear("attn_q_a", ["queryRank", "embd"], `${self}.q_a_proj`, { when: isNarrow, bias: "optional" }),
  ...norm("attn_q_a_norm", "queryRank", `${self}.q_a_layernorm`, { when: isNarrow }),
  ...linear("attn_q_b", ["latentQ", "queryRank"], `${self}.q_b_proj`, { when: isNarrow }),
  ...linear("attn_kv_a", ["rank+rope", "embd"], `${self}.kv_a_proj_with_mqa`, { bias: "optional" }),
  ...norm("attn_kv_a_norm", "rank", `${self}.kv_a_layernorm`),
  tensor("attn_kv_b", ["latentKv", "rank"], `${self}.kv_b_proj.weight`, { when: isWhole }),
  tensor("attn_k_b", ["heads", "rank", "latentKey"], `${self}.k_b_proj.weight`, { when: isCut }),
  tensor("attn_v_b", ["heads", "latentValue", "rank"], `${self}.v_b_proj.weight`, { when: isCut }),
  ...linear("attn_output", ["embd", "latentAttn"], `${self}.o_proj`, { bias: "optional" }),
  ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
  ...mixtureRows({
    selection: "model.layers.{i}.mlp.gate.e_score_correction_bias",
    options: { optional: true },
  }),
  ...norm("output_norm", "embd", "model.norm"),
  tensor("output", ["vocab", "embd"], "lm_head.weight"),
];

/** transformers leaves these norms' epsilon as its class has it. */
const EPSILON = 1e-6;

export function latentDecoder(
  h: HParams,
  usual: RouterTraits,
  more: Partial<Pick<LatentTraits, "most" | "temperature" | "rope">> = {},
): DecoderTraits {
  const { ropeScaling, ropeLogMultiplier, latent } = h;
  const magnitude =
    ropeScaling.type === "yarn" && ropeLogMultiplier !== undefined
      ? yarnMagnitude(ropeScaling.factor, ropeLogMultiplier)
      : 1;
  const scale = magnitude ** 2 / Math.sqrt(latent.keyLength);
  const kind = latent.isWhole ? "latent-expanded" : "latent";
  const mixer = { kind, rope: { pairs: "neighbours" }, scale, epsilon: EPSILON, ...more } as const;
  const feedForward = { activation: "silu", router: routerOf(h, usual) } as const;
  return { norm: "rms", layers: allLayers(h, { mixer, feedForward }) };
}

/** GLM-4.7-Flash, whose files need not say how experts are scored; those of DeepSeek V2 need not either. */
function isFlash({ blockCount, vocabSize }: HParams): boolean {
  return (blockCount === 47 || blockCount === 48) && vocabSize === 154880;
}

export const deepseek2: Architecture = {
  name: "deepseek2",
  covers: ["DeepSeek V3, V3.1 and R1", "Kimi K2", "Moonlight"],
  year: 2025,
  classes: ["DeepseekV3ForCausalLM"],
  read: reader(schema, (config) =>
    readDeepSeek(config, { gating: "sigmoid", normalize: true, leadingDense: 3 }),
  ),
  tensors: rows,
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq"],
  decoder: (h) => {
    const gating = isFlash(h) ? "sigmoid" : "softmax";
    return latentDecoder(h, { gating }, { temperature: temperatureOf(h) });
  },
};

export const deepseekV2: Architecture = {
  ...deepseek2,
  covers: ["DeepSeek V2 and V2.5"],
  year: undefined,
  classes: ["DeepseekV2ForCausalLM"],
  read: reader(schema, (config) => {
    const isGrouped = config.topk_method === "group_limited_greedy" || (config.n_group ?? 1) < 2;
    const groups = isGrouped ? {} : { n_group: null, topk_group: null };
    const plain = { ...config, ...groups, norm_topk_prob: false };
    const model = readDeepSeek(plain, { gating: "softmax", normalize: false });
    if ((plain.n_group ?? 1) < 2) return model;
    const remark = t`llama.cpp takes the sum of a group's two best experts for its score, where the model takes the best`;
    return {
      ...model,
      keys: [...model.keys, ["expert_group_score", meta.string("largest")]],
      remarks: [...(model.remarks ?? []), remark],
    };
  }),
};

export const glm4moeLite: Architecture = {
  ...deepseek2,
  covers: ["GLM-4.7-Flash"],
  year: 2026,
  classes: ["Glm4MoeLiteForCausalLM"],
  read: reader(schema, (config) =>
    readDeepSeek(config, { gating: "sigmoid", normalize: true, leadingDense: 1 }),
  ),
};

export const youtu: Architecture = {
  ...deepseek2,
  covers: ["Youtu-LLM"],
  year: 2025,
  classes: ["YoutuForCausalLM"],
  read: reader(schema, (config) => readDeepSeek(config, { gating: "sigmoid", normalize: true })),
};
