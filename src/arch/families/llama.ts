import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Transform } from "../../tensor.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, flag, headDim, reader } from "../config.js";
import { type HParams, hasExperts, isDense, numbersOf } from "../hparams.js";
import { ropeKeys } from "../rope-scaling.js";
import {
  ATTENTION_BIASES,
  experts,
  gatedMlp,
  linear,
  MLP_BIASES,
  norm,
  ropeDivisors,
  separateQkv,
  tensor,
} from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { routerOf } from "./experts.js";

// Transformers splits a head in halves for RoPE; GGUF's "llama" pairs neighbours. Biases go with their rows.
export const permuteQ = (h: HParams, layer: number | undefined): Transform => ({
  kind: "permuteRope",
  heads: numbersOf(h, layer).headCount,
});
export const permuteK = (h: HParams, layer: number | undefined): Transform => ({
  kind: "permuteRope",
  heads: numbersOf(h, layer).headCountKv,
});
const permuted = { q: { transform: permuteQ }, k: { transform: permuteK } };

export const llamaSchema = v.looseObject({
  ...decoderFields,
  sliding_window: v.nullish(count),
  attention_bias: flag,
  mlp_bias: flag,
});

/** Also what other families' config.json means that became a "llama". */
export function readLlama(config: v.InferOutput<typeof llamaSchema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  const width = headDim(config);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [...decoderKeys(config), ...ropeKeys(config, width)],
    optional: [
      ...(config.attention_bias === true ? ATTENTION_BIASES : []),
      ...(config.mlp_bias === true ? MLP_BIASES : []),
    ],
  };
}

/** The same of Mistrals, which have windows: transformers' Llama has none, whatever was left of a Mistral in its config. */
export function readMistral(config: v.InferOutput<typeof llamaSchema>): HfModel {
  const model = readLlama(config);
  const { sliding_window: window, model_type: type } = config;
  if (window == null || type === "llama") return model;
  return { ...model, keys: [...model.keys, ["attention.sliding_window", meta.u32(window)]] };
}

export const llama: Architecture = {
  name: "llama",
  covers: ["Llama 1 to 3.3", "Chinese-Llama-2", "Mistral", "Yi", "TinyLlama", "SmolLM2"],
  classes: ["LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM"],
  read: reader(llamaSchema, readMistral),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...ropeDivisors,
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { ...permuted, bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "optional" }),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    tensor(
      "router",
      ["experts", "embd"],
      ["model.layers.{i}.block_sparse_moe.gate.weight", "model.layers.{i}.mlp.gate.weight"],
      { when: hasExperts },
    ),
    ...experts(
      ["model.layers.{i}.block_sparse_moe.experts.{e}", "model.layers.{i}.mlp.experts.{e}"],
      { gate: "w1", down: "w2", up: "w3" },
      { when: hasExperts },
    ),
    ...gatedMlp("model.layers.{i}.mlp", { when: isDense, bias: "optional" }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"],
  decoder: (h) => {
    const router = routerOf(h, { gating: "softmax", normalize: true });
    const window = (layer: number) => (h.layers[layer]!.hasWindow === false ? undefined : h.slidingWindow);
    const mixer = (layer: number) => attention({ rope: { pairs: "neighbours" }, window: window(layer) });
    return decoderOf(h, mixer, { activation: "silu", router });
  },
};
