import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Architecture } from "../architecture.js";
import {
  count,
  decoderFields,
  decoderKeys,
  expectField,
  flag,
  headDim,
  positive,
  reader,
} from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { norm, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";
import {
  behindFirst,
  behindFirstKeys,
  expertKeys,
  mixtureRows,
  mlpLayerTypes,
  none,
  routerOf,
} from "./experts.js";
import { qwen3Attention } from "./qwen3.js";

const schema = v.looseObject({
  ...decoderFields,
  attention_bias: flag,
  mlp_bias: flag,
  qk_norm: flag,
  num_experts: v.optional(count, 192),
  num_experts_per_tok: v.optional(count, 8),
  num_shared_experts: v.nullish(none, 1),
  moe_intermediate_size: v.optional(count, 1536),
  router_scaling_factor: v.optional(positive, 2.826),
  route_norm: flag,
  moe_router_use_sigmoid: flag,
  moe_router_enable_expert_bias: flag,
  mlp_layer_types: mlpLayerTypes,
  first_k_dense_replace: v.nullish(none),
});

/** RoPE's base where a config has none. */
const BASE = 11158840;

/** Qwen3's attention; experts that are chosen by sigmoid and a bias, beside one that all tokens go through. */
export const hy3: Architecture = {
  name: "hy_v3",
  covers: ["Hunyuan 3 (Hy3)"],
  year: 2026,
  classes: ["HYV3ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    expectField("attention_bias", config.attention_bias ?? false, false);
    expectField("mlp_bias", config.mlp_bias ?? false, false);
    expectField("qk_norm", config.qk_norm ?? true, true);
    expectField("route_norm", config.route_norm ?? true, true);
    expectField("moe_router_use_sigmoid", config.moe_router_use_sigmoid ?? true, true);
    expectField("moe_router_enable_expert_bias", config.moe_router_enable_expert_bias ?? true, true);
    const { mlp_layer_types: types, num_hidden_layers: layers, moe_intermediate_size: width } = config;
    if (types != null && types.length !== layers)
      throw badInput(t`config.json: mlp_layer_types has ${types.length} of ${layers} layers`);
    const dense = config.first_k_dense_replace ?? 1;
    const sparse = Array.from({ length: layers }, (_, i) => (types ? types[i] === "sparse" : i >= dense));
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config),
        ...ropeKeys(config, headDim(config), { base: BASE }),
        ...expertKeys({
          count: config.num_experts,
          used: config.num_experts_per_tok,
          feedForwardLength: width,
          sharedFeedForwardLength: (config.num_shared_experts ?? 1) * width,
          gating: "sigmoid",
          normalize: true,
          scale: config.router_scaling_factor,
        }),
        ...behindFirstKeys(sparse),
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...qwen3Attention,
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...mixtureRows({
      router: "model.layers.{i}.mlp.router.gate",
      shared: "model.layers.{i}.mlp.shared_mlp",
      selection: "model.layers.{i}.mlp.expert_bias",
      sparse: behindFirst,
      // GGUF has it without ".bias" here.
    }).map((row) => (row.role === "selection_bias" ? { ...row, name: "blk.{i}.exp_probs_b" } : row)),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "halves", { router: routerOf(h, { gating: "sigmoid", normalize: true }) }),
};
