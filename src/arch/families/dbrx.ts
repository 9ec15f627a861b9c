import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, HfModel } from "../architecture.js";
import { cutUp, cutUpAcross } from "../checkpoint/woven-experts.js";
import { count, expectField, flag, headDim, positive, reader } from "../config.js";
import { ropeKeys, ropeScaling } from "../rope-scaling.js";
import { linear, norm, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";
import { expertKeys, routerOf } from "./experts.js";

const schema = v.looseObject({
  vocab_size: count,
  d_model: count,
  n_layers: count,
  n_heads: count,
  max_seq_len: count,
  rope_parameters: v.nullish(ropeScaling),
  tie_word_embeddings: flag,
  attn_config: v.looseObject({ kv_n_heads: count, clip_qkv: positive, rope_theta: v.nullish(positive) }),
  ffn_config: v.looseObject({
    ffn_hidden_size: count,
    moe_num_experts: count,
    moe_top_k: count,
    moe_normalize_expert_weights: v.optional(v.nullable(v.number()), 1),
    ffn_act_fn: v.nullish(v.looseObject({ name: v.string() })),
  }),
});

/** Of the norms; the config has none. */
const EPSILON = 1e-5;

function readDbrx(config: v.InferOutput<typeof schema>): HfModel {
  const { attn_config: attention, ffn_config: mixture } = config;
  expectField("ffn_config.ffn_act_fn.name", mixture.ffn_act_fn?.name ?? "silu", "silu");
  // The sum of the weights' sizes becomes 1.
  expectField("ffn_config.moe_normalize_expert_weights", mixture.moe_normalize_expert_weights, 1);
  const rope = {
    max_position_embeddings: config.max_seq_len,
    rope_parameters: config.rope_parameters,
    rope_theta: attention.rope_theta ?? 10000,
  };
  const width = headDim({ hidden_size: config.d_model, num_attention_heads: config.n_heads });
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(config.max_seq_len)],
      ["embedding_length", meta.u32(config.d_model)],
      ["feed_forward_length", meta.u32(mixture.ffn_hidden_size)],
      ["block_count", meta.u32(config.n_layers)],
      ["attention.head_count", meta.u32(config.n_heads)],
      ["attention.head_count_kv", meta.u32(attention.kv_n_heads)],
      ["attention.clamp_kqv", meta.f32(attention.clip_qkv)],
      ["attention.layer_norm_epsilon", meta.f32(EPSILON)],
      ...ropeKeys(rope, width),
      ...expertKeys({ count: mixture.moe_num_experts, used: mixture.moe_top_k }),
    ],
  };
}

const LAYER = "transformer.blocks.{i}";
const MLP = `${LAYER}.ffn.experts.mlp`;

/** Layer norms without biases, limits of queries, keys and values, and experts below each other. */
export const dbrx: Architecture = {
  name: "dbrx",
  covers: ["DBRX"],
  classes: ["DbrxForCausalLM"],
  read: reader(schema, readDbrx),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "transformer.wte.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.norm_attn_norm.norm_1`),
    ...linear("attn_qkv", ["qkv", "embd"], `${LAYER}.norm_attn_norm.attn.Wqkv`),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.norm_attn_norm.attn.out_proj`),
    // GGUF calls it after what it stands behind.
    {
      ...tensor("ffn_norm", ["embd"], `${LAYER}.norm_attn_norm.norm_2.weight`),
      name: "blk.{i}.attn_output_norm.weight",
    },
    tensor("router", ["experts", "embd"], `${LAYER}.ffn.router.layer.weight`),
    tensor("ffn_gate_exps", ["experts", "expertFfn", "embd"], `${MLP}.w1`, { view: cutUp }),
    tensor("ffn_down_exps", ["experts", "embd", "expertFfn"], `${MLP}.w2`, { view: cutUpAcross }),
    tensor("ffn_up_exps", ["experts", "expertFfn", "embd"], `${MLP}.v1`, { view: cutUp }),
    ...norm("output_norm", "embd", "transformer.norm_f"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ rope: { pairs: "halves" }, clampQkv: h.clampQkv }),
      feedForward: { activation: "silu", router: routerOf(h, { gating: "softmax", normalize: true }) },
    }),
  }),
};
