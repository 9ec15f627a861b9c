import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture } from "../architecture.js";
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
  multi_query: flag,
  tie_word_embeddings: flag,
});

const LAYER = "transformer.h.{i}";
const biased = { bias: "always" } as const;

/** GPT-2 with one head of keys and values for all queries. */
export const starcoder: Architecture = {
  name: "starcoder",
  covers: ["StarCoder, SantaCoder"],
  classes: ["GPTBigCodeForCausalLM"],
  read: reader(schema, (config) => {
    const activation = config.activation_function ?? "gelu_pytorch_tanh";
    expectField("activation_function", activation, "gelu_pytorch_tanh", "gelu_new", "gelu_fast");
    expectField("scale_attn_weights", config.scale_attn_weights ?? true, true);
    expectField("multi_query", config.multi_query ?? true, true);
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings !== false,
      keys: [
        ["vocab_size", meta.u32(config.vocab_size)],
        ["context_length", meta.u32(config.n_positions)],
        ["embedding_length", meta.u32(config.n_embd)],
        ["feed_forward_length", meta.u32(config.n_inner ?? 4 * config.n_embd)],
        ["block_count", meta.u32(config.n_layer)],
        ["attention.head_count", meta.u32(config.n_head)],
        ["attention.head_count_kv", meta.u32(1)],
        ["attention.layer_norm_epsilon", meta.f32(config.layer_norm_epsilon)],
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "transformer.wte.weight"),
    tensor("position_embd", ["context", "embd"], "transformer.wpe.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.ln_1`, biased),
    ...linear("attn_qkv", ["qkv", "embd"], `${LAYER}.attn.c_attn`, biased),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.attn.c_proj`, biased),
    ...norm("ffn_norm", "embd", `${LAYER}.ln_2`, biased),
    ...linear("ffn_up", ["ffn", "embd"], `${LAYER}.mlp.c_fc`, biased),
    ...linear("ffn_down", ["embd", "ffn"], `${LAYER}.mlp.c_proj`, biased),
    ...norm("output_norm", "embd", "transformer.ln_f", biased),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [`${LAYER}.attn.bias`, `${LAYER}.attn.masked_bias`],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, { mixer: attention({}), feedForward: { activation: "gelu_tanh" } }),
  }),
};
