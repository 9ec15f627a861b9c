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
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { linear, norm, ropeFactors, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";

const schema = v.looseObject({
  ...decoderFields,
  attention_bias: flag,
  partial_rotary_factor: v.nullish(positive),
  sliding_window: v.nullish(count),
  original_max_position_embeddings: v.nullish(count),
});

export const phi3: Architecture = {
  name: "phi3",
  covers: ["Phi-3, Phi-3.5 and Phi-4 (text)"],
  year: 2025,
  classes: ["Phi3ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    expectField("attention_bias", config.attention_bias ?? false, false);
    const original = config.original_max_position_embeddings ?? config.max_position_embeddings;
    const dimensions = Math.floor(headDim(config) * rotaryShare(config, 1));
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config),
        ["rope.scaling.original_context_length", meta.u32(original)],
        ...ropeKeys(config, dimensions),
        // 0 is how llama.cpp knows the models without a window.
        ["attention.sliding_window", meta.u32(config.sliding_window ?? 0)],
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...ropeFactors,
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...linear("attn_qkv", ["qkv", "embd"], "model.layers.{i}.self_attn.qkv_proj"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...linear("ffn_up", ["ffn*2", "embd"], "model.layers.{i}.mlp.gate_up_proj"),
    ...linear("ffn_down", ["embd", "ffn"], "model.layers.{i}.mlp.down_proj"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq"],
  decoder: (h) => llamaKind(h, "halves", { window: h.slidingWindow }),
};
