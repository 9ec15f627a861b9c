import * as v from "valibot";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import { decoderFields, decoderKeys, expectField, flag, headDim, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { ATTENTION_BIASES, gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { allButEvery } from "../windows.js";

const usualWindows = allButEvery(4);

const schema = v.looseObject({ ...decoderFields, attention_bias: flag });

const biased = (): Pick<HfModel, "optional" | "remarks"> => ({
  optional: ATTENTION_BIASES,
  remarks: [t`llama.cpp loads no OLMo whose attention has biases`],
});

/** Also what OLMo 3's config.json means. */
export function readOlmo2(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [...decoderKeys(config), ...ropeKeys(config, headDim(config))],
    ...(config.attention_bias === true && biased()),
  };
}

/** Norms stand behind both halves of a block, and are over all queries or keys of a token together. */
export const olmo2: Architecture = {
  name: "olmo2",
  covers: ["OLMo 2"],
  classes: ["Olmo2ForCausalLM"],
  read: reader(schema, readOlmo2),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...norm("attn_q_norm", "q", "model.layers.{i}.self_attn.q_norm"),
    ...norm("attn_k_norm", "kv", "model.layers.{i}.self_attn.k_norm"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "optional" }),
    ...norm("attn_post_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("ffn_post_norm", "embd", "model.layers.{i}.post_feedforward_layernorm"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  // OLMo 3 is of this architecture, too, and has windows: there RoPE is as it was before it was stretched.
  decoder: (h) =>
    decoderOf(h, (layer) => {
      const { hasWindow = usualWindows(layer) } = h.layers[layer]!;
      return h.slidingWindow !== undefined && hasWindow
        ? attention({
            rope: { pairs: "halves", base: h.windowRopeFreqBase, plain: true },
            window: h.slidingWindow,
          })
        : attention({ rope: { pairs: "halves" } });
    }),
};
