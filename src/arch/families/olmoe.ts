import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
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
import { experts, linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, llamaKind, perLayer } from "../traits.js";
import { expertFields, expertKeys, readExpertFields, routerOf } from "./experts.js";

const schema = v.looseObject({
  ...decoderFields,
  ...expertFields,
  /** What `intermediate_size` says. */
  moe_intermediate_size: v.nullish(count),
  attention_bias: flag,
  clip_qkv: v.nullish(positive),
});

/** Norms over all queries or keys of a token together; experts by softmax, whose weights do not add up to 1. */
export const olmoe: Architecture = {
  name: "olmoe",
  covers: ["OLMoE"],
  classes: ["OlmoeForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    expectField("attention_bias", config.attention_bias ?? false, false);
    const usual = { gating: "softmax", normalize: false } as const;
    const {
      count: number,
      used,
      normalize,
    } = readExpertFields({ ...config, moe_intermediate_size: config.intermediate_size }, usual);
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config),
        ...ropeKeys(config, headDim(config)),
        // llama.cpp never normalizes, nor clamps, in this architecture.
        ...expertKeys({ count: number, used, ...(normalize ? { normalize } : {}) }),
        ...(config.clip_qkv == null ? [] : [["attention.clamp_kqv", meta.f32(config.clip_qkv)] as const]),
      ],
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
    tensor("router", ["experts", "embd"], "model.layers.{i}.mlp.gate.weight"),
    ...experts("model.layers.{i}.mlp.experts.{e}", { gate: "gate_proj", down: "down_proj", up: "up_proj" }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => {
    const plain = llamaKind(h, "halves", { router: routerOf(h, { gating: "softmax" }) });
    const mixer = attention({ rope: { pairs: "halves" }, clampQkv: h.clampQkv, clampsNormed: true });
    return { ...plain, layers: perLayer(h, (layer) => ({ ...plain.layers[layer]!, mixer })) };
  },
};
