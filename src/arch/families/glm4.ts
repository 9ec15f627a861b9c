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
import { linear, norm, QKV_BIASES, separateQkv, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";

const schema = v.looseObject({
  ...decoderFields,
  head_dim: v.optional(count, 128),
  attention_bias: flag,
  partial_rotary_factor: v.nullish(positive),
});

/** Norms before and after both halves of a layer. Checkpoints pair neighbours for RoPE, as GGUF does. */
export const glm4: Architecture = {
  name: "glm4",
  covers: ["GLM-4-0414"],
  year: 2025,
  classes: ["Glm4ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config),
        ...ropeKeys(config, Math.floor(headDim(config) * rotaryShare(config, 0.5))),
      ],
      optional: config.attention_bias === false ? [] : QKV_BIASES,
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("attn_post_norm", "embd", "model.layers.{i}.post_self_attn_layernorm"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...linear("ffn_up", ["ffn*2", "embd"], "model.layers.{i}.mlp.gate_up_proj"),
    ...linear("ffn_down", ["embd", "ffn"], "model.layers.{i}.mlp.down_proj"),
    ...norm("ffn_post_norm", "embd", "model.layers.{i}.post_mlp_layernorm"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "neighbours"),
};
