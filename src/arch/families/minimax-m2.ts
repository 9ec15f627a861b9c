import * as v from "valibot";
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
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { experts, linear, norm, selectionBias, separateQkv, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";
import { expertFields, expertKeys, readExpertFields, routerOf } from "./experts.js";

const schema = v.looseObject({
  ...decoderFields,
  ...expertFields,
  /** What `intermediate_size` says. */
  moe_intermediate_size: v.nullish(count),
  rotary_dim: v.nullish(count),
  partial_rotary_factor: v.nullish(positive),
  use_qk_norm: flag,
  use_routing_bias: flag,
  shared_intermediate_size: v.nullish(v.literal(0)),
});

/** Norms over all queries or keys of a token together; experts chosen by sigmoid and a bias, none shared. */
export const minimaxM2: Architecture = {
  name: "minimax-m2",
  covers: ["MiniMax-M2, M2.1 and M2.5"],
  year: 2026,
  classes: ["MiniMaxM2ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    expectField("use_qk_norm", config.use_qk_norm ?? true, true);
    expectField("use_routing_bias", config.use_routing_bias ?? true, true);
    const width = config.intermediate_size;
    const usual = { gating: "sigmoid", normalize: true } as const;
    const { normalize, ...mixture } = readExpertFields({ ...config, moe_intermediate_size: width }, usual);
    // GGUF's readers take it for granted.
    expectField("norm_topk_prob", normalize, true);
    const turned = config.rope_parameters?.partial_rotary_factor ?? config.partial_rotary_factor;
    const head = headDim(config);
    const dimensions = turned == null ? (config.rotary_dim ?? head) : head * rotaryShare(config, 1);
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [...decoderKeys(config), ...ropeKeys(config, Math.floor(dimensions)), ...expertKeys(mixture)],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn"),
    ...norm("attn_q_norm", "q", "model.layers.{i}.self_attn.q_norm"),
    ...norm("attn_k_norm", "kv", "model.layers.{i}.self_attn.k_norm"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    tensor(
      "router",
      ["experts", "embd"],
      ["model.layers.{i}.block_sparse_moe.gate.weight", "model.layers.{i}.mlp.gate.weight"],
    ),
    selectionBias([
      "model.layers.{i}.block_sparse_moe.e_score_correction_bias",
      "model.layers.{i}.mlp.e_score_correction_bias",
    ]),
    ...experts(["model.layers.{i}.block_sparse_moe.experts.{e}", "model.layers.{i}.mlp.experts.{e}"], {
      gate: "w1",
      down: "w2",
      up: "w3",
    }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "halves", { router: routerOf(h, { gating: "sigmoid", normalize: true }) }),
};
