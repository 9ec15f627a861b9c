import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Role } from "../../role.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, decoderFields, expectField, flag, headDim, headsKv, positive, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { ATTENTION_BIASES, linear, norm, separateQkv, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const { rms_norm_eps: _, ...fields } = decoderFields;
const schema = v.looseObject({
  ...fields,
  norm_epsilon: positive,
  norm_type: v.nullish(v.string()),
  use_bias: flag,
  sliding_window: v.nullish(count),
  tie_word_embeddings: flag,
});

const BIASES: readonly Role[] = [...ATTENTION_BIASES, ...(["ffn_up_bias", "ffn_down_bias"] as const)];

function readStarCoder2(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "gelu_pytorch_tanh", "gelu_pytorch_tanh");
  expectField("norm_type", config.norm_type ?? "layer_norm", "layer_norm");
  const hasBiases = config.use_bias !== false;
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings !== false,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(config.max_position_embeddings)],
      ["embedding_length", meta.u32(config.hidden_size)],
      ["block_count", meta.u32(config.num_hidden_layers)],
      ["feed_forward_length", meta.u32(config.intermediate_size)],
      ["attention.head_count", meta.u32(config.num_attention_heads)],
      ["attention.head_count_kv", meta.u32(headsKv(config))],
      ["attention.layer_norm_epsilon", meta.f32(config.norm_epsilon)],
      ...(config.sliding_window
        ? [["attention.sliding_window", meta.u32(config.sliding_window)] as const]
        : []),
      ...ropeKeys(config, headDim(config)),
    ],
    optional: hasBiases ? BIASES : [],
    remarks: hasBiases ? [] : [t`llama.cpp loads no starcoder2 without biases`],
  };
}

export const starcoder2: Architecture = {
  name: "starcoder2",
  covers: ["StarCoder2"],
  classes: ["Starcoder2ForCausalLM"],
  read: reader(schema, readStarCoder2),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm", { bias: "always" }),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "optional" }),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm", { bias: "always" }),
    ...linear("ffn_up", ["ffn", "embd"], "model.layers.{i}.mlp.c_fc", { bias: "optional" }),
    ...linear("ffn_down", ["embd", "ffn"], "model.layers.{i}.mlp.c_proj", { bias: "optional" }),
    ...norm("output_norm", "embd", "model.norm", { bias: "always" }),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ rope: { pairs: "halves" }, window: h.slidingWindow }),
      feedForward: { activation: "gelu_tanh" },
    }),
  }),
};
