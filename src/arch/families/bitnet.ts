import * as v from "valibot";
import { t } from "../../language/t.js";
import type { Architecture } from "../architecture.js";
import { decoderFields, decoderKeys, expectField, flag, headDim, reader } from "../config.js";
import { activationKeys, activationOf } from "../numbers/activations.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";

const schema = v.looseObject({
  ...decoderFields,
  attention_bias: flag,
  quantization_config: v.nullish(v.looseObject({ quantization_mode: v.nullish(v.string()) })),
});

/**
 * What goes into the last matrix of either half of a layer is normed. Weights are as they are stored, as transformers has it:
 * checkpoints of three values have them packed.
 */
export const bitnet: Architecture = {
  name: "bitnet",
  covers: ["BitNet b1.58"],
  year: 2025,
  classes: ["BitNetForCausalLM", "BitnetForCausalLM"],
  read: reader(schema, (config) => {
    const { quantization_config: packed } = config;
    // Then weights are any numbers, of which transformers makes three values as it computes.
    expectField("quantization_mode", packed?.quantization_mode ?? "offline", "offline");
    const activation = activationKeys(config.hidden_act ?? "relu2", "silu");
    expectField("attention_bias", config.attention_bias ?? false, false);
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config),
        ...ropeKeys(config, headDim(config), { base: 500000 }),
        ...activation.keys,
      ],
      remarks: [
        ...(activation.remarks ?? []),
        packed == null
          ? t`llama.cpp's converter rounds weights to three values, which is left to checkpoints here`
          : t`transformers rounds what goes into each matrix to 8 bits, which is not done here`,
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn"),
    ...norm("attn_sub_norm", "attn", "model.layers.{i}.self_attn.attn_sub_norm"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("ffn_sub_norm", "ffn", "model.layers.{i}.mlp.ffn_sub_norm"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) =>
    decoderOf(h, () => attention({ rope: { pairs: "halves" } }), { activation: activationOf(h, "silu") }),
};
