import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { decoderFields, decoderKeys, expectField, flag, headDim, positive, reader } from "../config.js";
import { partOf } from "../fused.js";
import { hasExperts, isDense } from "../hparams.js";
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { experts, gatedMlp, linear, norm, selectionBias, sharedExpert, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";
import { expertFields, expertKeys, hasSharedExperts, none, readExpertFields, routerOf } from "./experts.js";
import { permuteK, permuteQ } from "./llama.js";

// Ling and Ring, by their publisher's names: their classes are none of transformers'.

const schema = v.looseObject({
  ...decoderFields,
  ...expertFields,
  use_bias: flag,
  use_qkv_bias: flag,
  use_qk_norm: flag,
  norm_head: flag,
  norm_softmax: flag,
  partial_rotary_factor: v.nullish(positive),
  moe_shared_expert_intermediate_size: v.nullish(none),
});

type Config = v.InferOutput<typeof schema>;

/** @param biases what the publisher's class takes where use_bias is left out */
function checked(config: Config, biases: boolean): { readonly shared: number } {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("use_bias", config.use_bias ?? biases, false);
  expectField("use_qkv_bias", config.use_qkv_bias ?? false, false);
  expectField("norm_softmax", config.norm_softmax ?? false, false);
  const shared = config.num_shared_experts ?? 0;
  const width = config.moe_shared_expert_intermediate_size;
  if (width != null && shared > 0) {
    expectField("moe_shared_expert_intermediate_size", width, config.moe_intermediate_size);
  }
  return { shared };
}

/** The model divides the output's columns by their lengths before it multiplies; its GGUF has what comes of that. */
const NORMED_HEAD: HfModel["steps"] = new Map([["output", [{ kind: "normalizeColumns", lengths: [] }]]]);

const Q_K_V = ["q", "kv", "v"] as const;
const fused = (index: number) => partOf(Q_K_V, index);

const moe: readonly TensorRow[] = [
  tensor("router", ["experts", "embd"], "model.layers.{i}.mlp.gate.weight", { when: hasExperts }),
  ...experts(
    "model.layers.{i}.mlp.experts.{e}",
    { gate: "gate_proj", down: "down_proj", up: "up_proj" },
    { when: hasExperts },
  ),
];

/** Heads are permuted as a Llama's are; experts by softmax. */
export const bailingmoe: Architecture = {
  name: "bailingmoe",
  covers: ["Ling-lite, -plus and -coder (the first)"],
  year: 2025,
  classes: ["BailingMoeForCausalLM"],
  read: reader(schema, (config) => {
    const { shared } = checked(config, true);
    expectField("num_shared_experts", shared > 0, true);
    expectField("first_k_dense_replace", config.first_k_dense_replace ?? 0, 0);
    const mixture = readExpertFields(config, { gating: "softmax", normalize: true });
    expectField("scoring_func", mixture.gating, "softmax");
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config),
        ...ropeKeys(config, headDim(config)),
        ...expertKeys({
          count: mixture.count,
          used: mixture.used,
          feedForwardLength: config.moe_intermediate_size,
          sharedCount: shared,
          leadingDenseCount: 0,
          normalize: mixture.normalize,
          scale: 1,
        }),
      ],
      ...(config.norm_head === true && { steps: NORMED_HEAD }),
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.word_embeddings.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...linear("attn_q", ["q", "embd"], "model.layers.{i}.attention.query_key_value", {
      part: fused(0),
      transform: permuteQ,
    }),
    ...linear("attn_k", ["kv", "embd"], "model.layers.{i}.attention.query_key_value", {
      part: fused(1),
      transform: permuteK,
    }),
    ...linear("attn_v", ["v", "embd"], "model.layers.{i}.attention.query_key_value", { part: fused(2) }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.attention.dense"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...moe,
    ...sharedExpert("model.layers.{i}.mlp.shared_experts"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "neighbours", { router: routerOf(h, { gating: "softmax" }) }),
};

/** Dense layers first; experts by sigmoid and a bias, of groups; half of each normed head is turned. */
export const bailingmoe2: Architecture = {
  name: "bailingmoe2",
  covers: ["Ling 2.0 and Ring 2.0"],
  year: 2025,
  classes: ["BailingMoeV2ForCausalLM"],
  read: reader(schema, (config) => {
    const { shared } = checked(config, false);
    expectField("use_qk_norm", config.use_qk_norm ?? true, true);
    expectField("norm_head", config.norm_head ?? false, false);
    // llama.cpp takes a model's queries for as wide as the model.
    const head = headDim(config);
    if (head * config.num_attention_heads !== config.hidden_size) {
      throw badInput(
        t`config.json: ${config.num_attention_heads} heads of ${head} are not ${config.hidden_size}`,
      );
    }
    const mixture = readExpertFields(config, { gating: "sigmoid", normalize: true });
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config),
        ...ropeKeys(config, Math.floor(head * rotaryShare(config, 0.5))),
        ...expertKeys({
          ...mixture,
          sharedCount: shared,
          leadingDenseCount: mixture.leadingDenseCount ?? 0,
          scale: mixture.scale ?? 1,
        }),
        // Of one of them.
        ["expert_shared_feed_forward_length", meta.u32(config.moe_intermediate_size)],
        // As llama.cpp's converter counts what is left out here.
        ["nextn_predict_layers", meta.u32(0)],
      ],
      optional: ["selection_bias"],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.word_embeddings.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...linear("attn_qkv", ["qkv", "embd"], "model.layers.{i}.attention.query_key_value"),
    ...norm("attn_q_norm", "head", "model.layers.{i}.attention.query_layernorm"),
    ...norm("attn_k_norm", "head", "model.layers.{i}.attention.key_layernorm"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.attention.dense"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...moe,
    selectionBias("model.layers.{i}.mlp.gate.expert_bias", { when: hasExperts, optional: true }),
    ...sharedExpert("model.layers.{i}.mlp.shared_experts", { when: hasSharedExperts }, "eachSharedFfn"),
    ...gatedMlp("model.layers.{i}.mlp", { when: isDense }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "halves", { router: routerOf(h, { gating: "sigmoid" }) }),
};
