import * as v from "valibot";
import type { MetaField } from "../../../formats/container.js";
import { LlqError } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
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
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { linear, norm, QKV_BIASES, separateQkv, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";

// ChatGLM2, ChatGLM3 and GLM-4-9b have one graph. What they call `rope_ratio` differs; see ropeRatioKeys.

const schema = v.looseObject({
  _name_or_path: v.nullish(v.string()),
  hidden_size: count,
  num_layers: count,
  num_attention_heads: count,
  kv_channels: count,
  multi_query_attention: flag,
  multi_query_group_num: v.nullish(count),
  ffn_hidden_size: count,
  padded_vocab_size: count,
  seq_length: count,
  layernorm_epsilon: positive,
  rope_ratio: v.nullish(positive),
  tie_word_embeddings: flag,
  rmsnorm: flag,
  original_rope: flag,
  post_layer_norm: flag,
  add_qkv_bias: flag,
  add_bias_linear: flag,
  apply_residual_connection_post_layernorm: flag,
});
type Config = v.InferOutput<typeof schema>;

export const chatglm: Architecture = {
  name: "chatglm",
  covers: ["ChatGLM2-6B", "ChatGLM3-6B", "GLM-4-9B"],
  classes: ["ChatGLMModel", "ChatGLMForConditionalGeneration"],
  accepts: (config) => "multi_query_attention" in config || "padded_vocab_size" in config,
  read: reader(schema, (config) => {
    expectField("rmsnorm", config.rmsnorm ?? true, true);
    expectField("original_rope", config.original_rope ?? true, true);
    expectField("post_layer_norm", config.post_layer_norm ?? true, true);
    expectField("add_qkv_bias", config.add_qkv_bias ?? false, true);
    expectField("add_bias_linear", config.add_bias_linear ?? false, false);
    const residual = config.apply_residual_connection_post_layernorm ?? false;
    expectField("apply_residual_connection_post_layernorm", residual, false);
    const headsKv = config.multi_query_attention ? config.multi_query_group_num : config.num_attention_heads;
    return {
      vocabSize: config.padded_vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ["vocab_size", meta.u32(config.padded_vocab_size)],
        ["context_length", meta.u32(config.seq_length)],
        ["embedding_length", meta.u32(config.hidden_size)],
        ["block_count", meta.u32(config.num_layers)],
        ["feed_forward_length", meta.u32(config.ffn_hidden_size)],
        ["attention.head_count", meta.u32(config.num_attention_heads)],
        ["attention.head_count_kv", meta.u32(headsKv ?? 1)],
        ["attention.key_length", meta.u32(config.kv_channels)],
        ["attention.value_length", meta.u32(config.kv_channels)],
        ["attention.layer_norm_rms_epsilon", meta.f32(config.layernorm_epsilon)],
        ["rope.dimension_count", meta.u32(config.kv_channels / 2)],
        ...ropeRatioKeys(config),
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "transformer.embedding.word_embeddings.weight"),
    ...norm("attn_norm", "embd", "transformer.encoder.layers.{i}.input_layernorm"),
    ...linear("attn_qkv", ["qkv", "embd"], "transformer.encoder.layers.{i}.self_attention.query_key_value", {
      bias: "always",
    }),
    ...linear("attn_output", ["embd", "attn"], "transformer.encoder.layers.{i}.self_attention.dense"),
    ...norm("ffn_norm", "embd", "transformer.encoder.layers.{i}.post_attention_layernorm"),
    ...linear("ffn_up", ["ffn*2", "embd"], "transformer.encoder.layers.{i}.mlp.dense_h_to_4h"),
    ...linear("ffn_down", ["embd", "ffn"], "transformer.encoder.layers.{i}.mlp.dense_4h_to_h"),
    ...norm("output_norm", "embd", "transformer.encoder.final_layernorm"),
    tensor("output", ["vocab", "embd"], "transformer.output_layer.weight"),
  ],
  ignored: ["transformer.rotary_pos_emb.inv_freq"],
  decoder: (h) => llamaKind(h, "neighbours"),
};

/** ChatGLM2 divides positions by the ratio; those after it multiply the base with it. */
function ropeRatioKeys({ rope_ratio, padded_vocab_size, _name_or_path }: Config): [string, MetaField][] {
  const ratio = rope_ratio ?? 1;
  const name = _name_or_path?.toLowerCase() ?? "";
  const isSecond = name.includes("chatglm2");
  if (ratio !== 1 && !isSecond && !/chatglm3|glm-4/.test(name) && padded_vocab_size !== GLM4_VOCABULARY) {
    const message = t`config.json: rope_ratio ${ratio} means one thing to ChatGLM2 and another to ChatGLM3`;
    throw new LlqError("unsupported", message, {
      hint: t`"_name_or_path" says which it is, as in "THUDM/chatglm3-6b-32k"`,
    });
  }
  if (!isSecond || ratio === 1) return [["rope.freq_base", meta.f32(10000 * ratio)]];
  return [
    ["rope.freq_base", meta.f32(10000)],
    ["rope.scaling.type", meta.string("linear")],
    ["rope.scaling.factor", meta.f32(ratio)],
  ];
}

const GLM4_VOCABULARY = 151552;

const nativeSchema = v.looseObject({
  ...decoderFields,
  attention_bias: flag,
  partial_rotary_factor: v.nullish(positive),
});

/** GLM-4-9b as transformers itself has it, with queries, keys and values apart. */
export const glm: Architecture = {
  ...chatglm,
  covers: ["GLM-4-9B (transformers)"],
  classes: ["GlmForCausalLM"],
  accepts: () => true,
  read: reader(nativeSchema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    const dimensions = Math.floor(headDim(config) * rotaryShare(config, 0.5));
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [...decoderKeys(config), ...ropeKeys(config, dimensions)],
      optional: config.attention_bias === false ? [] : QKV_BIASES,
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...linear("ffn_up", ["ffn*2", "embd"], "model.layers.{i}.mlp.gate_up_proj"),
    ...linear("ffn_down", ["embd", "ffn"], "model.layers.{i}.mlp.down_proj"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
};
