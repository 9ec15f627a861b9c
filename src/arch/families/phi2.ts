import * as v from "valibot";
import { t } from "../../language/t.js";
import type { Architecture } from "../architecture.js";
import { expectField, flag, headDim, layerNormFields, layerNormKeys, positive, reader } from "../config.js";
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { linear, norm, separateQkv, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const schema = v.looseObject({
  ...layerNormFields,
  partial_rotary_factor: v.nullish(positive),
  qk_layernorm: flag,
});

const LAYER = "model.layers.{i}";

/** One norm for both halves of a layer, and biases everywhere, of the output too. */
export const phi2: Architecture = {
  name: "phi2",
  covers: ["Phi-1, Phi-1.5 and Phi-2"],
  classes: ["PhiForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "gelu_new", "gelu_new", "gelu_pytorch_tanh");
    const hasNorms = config.qk_layernorm === true;
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...layerNormKeys(config),
        ...ropeKeys(config, Math.floor(headDim(config) * rotaryShare(config, 0.5)), { isUsualUnsaid: true }),
      ],
      optional: hasNorms ? ["attn_q_norm", "attn_q_norm_bias", "attn_k_norm", "attn_k_norm_bias"] : [],
      remarks: [
        ...(hasNorms ? [t`llama.cpp loads no phi2 with norms of queries and keys`] : []),
        ...(config.tie_word_embeddings === true
          ? [t`llama.cpp loads no phi2 whose output is the embedding`]
          : []),
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.input_layernorm`, { bias: "always" }),
    ...separateQkv(`${LAYER}.self_attn`, { bias: "always" }),
    ...norm("attn_q_norm", "head", `${LAYER}.self_attn.q_layernorm`, { bias: "optional", optional: true }),
    ...norm("attn_k_norm", "head", `${LAYER}.self_attn.k_layernorm`, { bias: "optional", optional: true }),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.self_attn.dense`, { bias: "always" }),
    ...linear("ffn_up", ["ffn", "embd"], `${LAYER}.mlp.fc1`, { bias: "always" }),
    ...linear("ffn_down", ["embd", "ffn"], `${LAYER}.mlp.fc2`, { bias: "always" }),
    ...norm("output_norm", "embd", "model.final_layernorm", { bias: "always" }),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
    tensor("output_bias", ["vocab"], "lm_head.bias", {}, ".bias"),
  ],
  ignored: [`${LAYER}.self_attn.rotary_emb.inv_freq`],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ rope: { pairs: "halves" } }),
      feedForward: { activation: "gelu_tanh" },
      parallel: true,
    }),
  }),
};
