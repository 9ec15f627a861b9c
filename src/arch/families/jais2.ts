import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { expectField, flag, headDim, layerNormFields, layerNormKeys, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { linear, norm, separateQkv, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const schema = v.looseObject({ ...layerNormFields, attention_bias: flag, mlp_bias: flag });

const LAYER = "model.layers.{i}";

/** Layer norms, biases everywhere, and feed-forwards that have squared ReLU and no gate. */
export const jais2: Architecture = {
  name: "jais2",
  covers: ["Jais 2"],
  year: 2025,
  classes: ["Jais2ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "relu2", "relu2");
    // llama.cpp loads none without.
    expectField("attention_bias", config.attention_bias ?? true, true);
    expectField("mlp_bias", config.mlp_bias ?? true, true);
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [...layerNormKeys(config), ...ropeKeys(config, headDim(config))],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.input_layernorm`, { bias: "always" }),
    ...separateQkv(`${LAYER}.self_attn`, { bias: "always" }),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.self_attn.o_proj`, { bias: "always" }),
    ...norm("ffn_norm", "embd", `${LAYER}.post_attention_layernorm`, { bias: "always" }),
    ...linear("ffn_up", ["ffn", "embd"], `${LAYER}.mlp.up_proj`, { bias: "always" }),
    ...linear("ffn_down", ["embd", "ffn"], `${LAYER}.mlp.down_proj`, { bias: "always" }),
    ...norm("output_norm", "embd", "model.norm", { bias: "always" }),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ rope: { pairs: "halves" } }),
      feedForward: { activation: "relu_squared" },
    }),
  }),
};
