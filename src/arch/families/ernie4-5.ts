import * as v from "valibot";
import { t } from "../../language/t.js";
import type { Role } from "../../role.js";
import type { Architecture } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, flag, headDim, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { ATTENTION_BIASES, gatedMlp, linear, MLP_BIASES, norm, separateQkv, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";

const schema = v.looseObject({ ...decoderFields, head_dim: v.optional(count, 128), use_bias: flag });

/** Of every matrix of a layer. llama.cpp reads none of them. */
const BIASES: readonly Role[] = [...ATTENTION_BIASES, ...MLP_BIASES];

/** Llamas whose checkpoints pair neighbours for RoPE, as GGUF does. */
export const ernie45: Architecture = {
  name: "ernie4_5",
  covers: ["ERNIE 4.5 (dense)"],
  year: 2025,
  classes: ["Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    const hasBiases = config.use_bias === true;
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings !== false,
      keys: [...decoderKeys(config), ...ropeKeys(config, headDim(config), { base: 500000 })],
      optional: hasBiases ? BIASES : [],
      remarks: hasBiases ? [t`llama.cpp loads no ernie4_5 whose feed-forwards have biases`] : [],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "optional" }),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp", { bias: "optional" }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "neighbours"),
};
