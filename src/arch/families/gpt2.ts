import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, expectField, flag, positive, reader } from "../config.js";
import { linear, norm, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const schema = v.looseObject({
  vocab_size: count,
  n_positions: count,
  n_embd: count,
  n_layer: count,
  n_head: count,
  n_inner: v.nullish(count),
  layer_norm_epsilon: positive,
  activation_function: v.nullish(v.string()),
  scale_attn_weights: flag,
  scale_attn_by_inverse_layer_idx: flag,
  tie_word_embeddings: flag,
});

function readGpt2(config: v.InferOutput<typeof schema>): HfModel {
  expectField(
    "activation_function",
    config.activation_function ?? "gelu_new",
    "gelu_new",
    "gelu_pytorch_tanh",
  );
  expectField("scale_attn_weights", config.scale_attn_weights ?? true, true);
  expectField("scale_attn_by_inverse_layer_idx", config.scale_attn_by_inverse_layer_idx ?? false, false);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings !== false,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(config.n_positions)],
      ["embedding_length", meta.u32(config.n_embd)],
      ["block_count", meta.u32(config.n_layer)],
      ["feed_forward_length", meta.u32(config.n_inner ?? 4 * config.n_embd)],
      ["attention.head_count", meta.u32(config.n_head)],
      ["attention.layer_norm_epsilon", meta.f32(config.layer_norm_epsilon)],
    ],
  };
}

/** Transformers' Conv1D has inputs first. */
const conv1d = { bias: "always", transposed: true } as const;

export const gpt2: Architecture = {
  name: "gpt2",
  covers: ["GPT-2"],
  classes: ["GPT2LMHeadModel"],
  read: reader(schema, readGpt2),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "transformer.wte.weight"),
    tensor("position_embd", ["context", "embd"], "transformer.wpe.weight"),
    ...norm("attn_norm", "embd", "transformer.h.{i}.ln_1", { bias: "always" }),
    ...linear("attn_qkv", ["qkv", "embd"], "transformer.h.{i}.attn.c_attn", conv1d),
    ...linear("attn_output", ["embd", "attn"], "transformer.h.{i}.attn.c_proj", conv1d),
    ...norm("ffn_norm", "embd", "transformer.h.{i}.ln_2", { bias: "always" }),
    ...linear("ffn_up", ["ffn", "embd"], "transformer.h.{i}.mlp.c_fc", conv1d),
    ...linear("ffn_down", ["embd", "ffn"], "transformer.h.{i}.mlp.c_proj", conv1d),
    ...norm("output_norm", "embd", "transformer.ln_f", { bias: "always" }),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: ["transformer.h.{i}.attn.bias", "transformer.h.{i}.attn.masked_bias"],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, { mixer: attention({}), feedForward: { activation: "gelu_tanh" } }),
  }),
};
