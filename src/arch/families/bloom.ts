import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture } from "../architecture.js";
import { count, expectField, flag, positive, reader } from "../config.js";
import { grouped } from "../fused.js";
import { linear, norm, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const schema = v.looseObject({
  vocab_size: count,
  hidden_size: v.nullish(count),
  n_embed: v.nullish(count),
  n_layer: v.nullish(count),
  num_hidden_layers: v.nullish(count),
  n_head: v.nullish(count),
  num_attention_heads: v.nullish(count),
  seq_length: v.nullish(count),
  layer_norm_epsilon: positive,
  apply_residual_connection_post_layernorm: flag,
  tie_word_embeddings: flag,
});

/** A field that older configs have by another name. @throws LlqError `bad-input` without either */
function either(name: string, value: number | null | undefined): number {
  if (value != null) return value;
  throw badInput(t`config.json: ${name} is missing`);
}

const LAYER = "transformer.h.{i}";
const biased = { bias: "always" } as const;

/** ALiBi's largest slope is 2^(-8 / heads). */
const MAX_BIAS = 8;

/** Embeddings are normed; positions show in ALiBi alone. */
export const bloom: Architecture = {
  name: "bloom",
  covers: ["BLOOM, BLOOMZ"],
  classes: ["BloomForCausalLM"],
  read: reader(schema, (config) => {
    const isLate = config.apply_residual_connection_post_layernorm ?? false;
    expectField("apply_residual_connection_post_layernorm", isLate, false);
    const width = either("hidden_size", config.hidden_size ?? config.n_embed);
    const heads = either("n_head", config.n_head ?? config.num_attention_heads);
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings !== false,
      keys: [
        ["vocab_size", meta.u32(config.vocab_size)],
        // As llama.cpp's converter has it: no config says how long the texts were.
        ["context_length", meta.u32(config.seq_length ?? width)],
        ["embedding_length", meta.u32(width)],
        ["feed_forward_length", meta.u32(4 * width)],
        ["block_count", meta.u32(either("n_layer", config.n_layer ?? config.num_hidden_layers))],
        ["attention.head_count", meta.u32(heads)],
        ["attention.head_count_kv", meta.u32(heads)],
        ["attention.layer_norm_epsilon", meta.f32(config.layer_norm_epsilon)],
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "transformer.word_embeddings.weight"),
    ...norm("token_embd_norm", "embd", "transformer.word_embeddings_layernorm", biased),
    ...norm("attn_norm", "embd", `${LAYER}.input_layernorm`, biased),
    ...linear("attn_qkv", ["qkv", "embd"], `${LAYER}.self_attention.query_key_value`, {
      part: grouped("q", "k", "v"),
      ...biased,
    }),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.self_attention.dense`, biased),
    ...norm("ffn_norm", "embd", `${LAYER}.post_attention_layernorm`, biased),
    ...linear("ffn_up", ["ffn", "embd"], `${LAYER}.mlp.dense_h_to_4h`, biased),
    ...linear("ffn_down", ["embd", "ffn"], `${LAYER}.mlp.dense_4h_to_h`, biased),
    ...norm("output_norm", "embd", "transformer.ln_f", biased),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ alibiMaxBias: MAX_BIAS }),
      feedForward: { activation: "gelu_tanh" },
    }),
  }),
};
