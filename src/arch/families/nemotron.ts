import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, TensorRow } from "../architecture.js";
import { expectField, flag, headDim, layerNormFields, layerNormKeys, positive, reader } from "../config.js";
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { ATTENTION_BIASES, linear, norm as plainNorm, separateQkv, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const schema = v.looseObject({
  ...layerNormFields,
  norm_eps: v.optional(positive, 1e-5),
  partial_rotary_factor: v.nullish(positive),
  attention_bias: flag,
  mlp_bias: flag,
});

/** Layer norms that multiply by 1 + w. */
const norm = (...[role, length, source]: Parameters<typeof plainNorm>): TensorRow[] =>
  plainNorm(role, length, source, { steps: [{ kind: "add", value: 1 }], bias: "always" });

const LAYER = "model.layers.{i}";

/** Feed-forwards have squared ReLU and no gate. */
export const nemotron: Architecture = {
  name: "nemotron",
  covers: ["Nemotron 3 and 4", "Minitron"],
  classes: ["NemotronForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "relu2", "relu2");
    const dimensions = Math.floor(headDim(config) * rotaryShare(config, 0.5));
    const rope = ropeKeys(config, dimensions);
    const isScaled = rope.some(([key]) => key === "rope.scaling.type");
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...layerNormKeys({ ...config, layer_norm_eps: config.norm_eps }),
        // llama.cpp's converter writes both, and its loader reads the other.
        ["attention.layer_norm_rms_epsilon", meta.f32(config.norm_eps)],
        ...rope,
        ...(isScaled ? [] : [["rope.scaling.type", meta.string("none")] as const]),
      ],
      optional: [
        ...(config.attention_bias === true ? ATTENTION_BIASES : []),
        ...(config.mlp_bias === true ? (["ffn_up_bias", "ffn_down_bias"] as const) : []),
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.input_layernorm`),
    ...separateQkv(`${LAYER}.self_attn`, { bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.self_attn.o_proj`, { bias: "optional" }),
    ...norm("ffn_norm", "embd", `${LAYER}.post_attention_layernorm`),
    ...linear("ffn_up", ["ffn", "embd"], `${LAYER}.mlp.up_proj`, { bias: "optional" }),
    ...linear("ffn_down", ["embd", "ffn"], `${LAYER}.mlp.down_proj`, { bias: "optional" }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [`${LAYER}.self_attn.rotary_emb.inv_freq`],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ rope: { pairs: "halves" } }),
      feedForward: { activation: "relu_squared" },
    }),
  }),
};
