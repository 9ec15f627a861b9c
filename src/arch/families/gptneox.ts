import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture } from "../architecture.js";
import { flag, headDim, layerNormFields, layerNormKeys, positive, reader } from "../config.js";
import { grouped } from "../fused.js";
import { activationKeys, activationOf } from "../numbers/activations.js";
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { linear, norm, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const schema = v.looseObject({
  ...layerNormFields,
  rotary_pct: v.nullish(positive),
  rotary_emb_base: v.nullish(positive),
  partial_rotary_factor: v.nullish(positive),
  use_parallel_residual: flag,
  attention_bias: flag,
});

const LAYER = "gpt_neox.layers.{i}";

/** Checkpoints have queries, keys and values head by head. */
export const gptneox: Architecture = {
  name: "gptneox",
  covers: ["GPT-NeoX", "Pythia"],
  classes: ["GPTNeoXForCausalLM"],
  read: reader(schema, (config) => {
    const activation = activationKeys(config.hidden_act ?? "gelu", "gelu_erf");
    const share = rotaryShare(config, config.rotary_pct ?? 0.25);
    const hasBiases = config.attention_bias !== false;
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...layerNormKeys(config).filter(([key]) => key !== "attention.head_count_kv"), // as many as heads
        ...ropeKeys(config, Math.floor(headDim(config) * share), {
          isUsualUnsaid: true,
          ...(config.rotary_emb_base && { base: config.rotary_emb_base }),
        }),
        ["use_parallel_residual", meta.bool(config.use_parallel_residual ?? true)],
        ...activation.keys,
      ],
      optional: hasBiases ? ["attn_qkv_bias", "attn_output_bias"] : [],
      remarks: [
        // Of the forms of GELU llama.cpp has one for all.
        ...(config.hidden_act?.startsWith("gelu") ? [] : (activation.remarks ?? [])),
        ...(hasBiases ? [] : [t`llama.cpp loads no gptneox whose attention has no biases`]),
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "gpt_neox.embed_in.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.input_layernorm`, { bias: "always" }),
    ...linear("attn_qkv", ["qkv", "embd"], `${LAYER}.attention.query_key_value`, {
      part: grouped("q", "k", "v"),
      bias: "optional",
    }),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.attention.dense`, { bias: "optional" }),
    ...norm("ffn_norm", "embd", `${LAYER}.post_attention_layernorm`, { bias: "always" }),
    ...linear("ffn_up", ["ffn", "embd"], `${LAYER}.mlp.dense_h_to_4h`, { bias: "always" }),
    ...linear("ffn_down", ["embd", "ffn"], `${LAYER}.mlp.dense_4h_to_h`, { bias: "always" }),
    ...norm("output_norm", "embd", "gpt_neox.final_layer_norm", { bias: "always" }),
    tensor("output", ["vocab", "embd"], "embed_out.weight"),
  ],
  ignored: [
    `${LAYER}.attention.bias`,
    `${LAYER}.attention.masked_bias`,
    `${LAYER}.attention.rotary_emb.inv_freq`,
  ],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ rope: { pairs: "halves" } }),
      feedForward: { activation: activationOf(h, "gelu_erf") },
      parallel: h.parallelResidual ?? true,
    }),
  }),
};
