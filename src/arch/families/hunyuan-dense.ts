import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture } from "../architecture.js";
import { decoderFields, decoderKeys, expectField, flag, headDim, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { type AttentionTraits, llamaKind } from "../traits.js";

const schema = v.looseObject({ ...decoderFields, attention_bias: flag, use_qk_norm: flag });

/** The context that a larger base of RoPE is for, as llama.cpp's converter has it. */
const LONG_CONTEXT = 262144;

/** Queries and keys are normed when RoPE has turned them. */
export const hunyuanDense: Architecture = {
  name: "hunyuan-dense",
  covers: ["Hunyuan 0.5B to 7B"],
  year: 2025,
  classes: ["HunYuanDenseV1ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    expectField("attention_bias", config.attention_bias ?? false, false);
    expectField("use_qk_norm", config.use_qk_norm ?? true, true);
    const isLong = (config.rope_parameters ?? config.rope_scaling)?.alpha;
    const context = isLong ? LONG_CONTEXT : config.max_position_embeddings;
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys({ ...config, max_position_embeddings: context }),
        ...ropeKeys(config, headDim(config)),
        ...(isLong
          ? ([
              ["rope.scaling.type", meta.string("none")],
              ["rope.scaling.factor", meta.f32(1)],
              ["rope.scaling.original_context_length", meta.u32(LONG_CONTEXT)],
            ] as const)
          : []),
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn"),
    ...norm("attn_q_norm", "head", "model.layers.{i}.self_attn.query_layernorm"),
    ...norm("attn_k_norm", "head", "model.layers.{i}.self_attn.key_layernorm"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => {
    const usual = llamaKind(h, "halves");
    return {
      ...usual,
      layers: usual.layers.map((layer) => ({
        ...layer,
        mixer: { ...layer.mixer, normsAfterRope: true } as AttentionTraits,
      })),
    };
  },
};
