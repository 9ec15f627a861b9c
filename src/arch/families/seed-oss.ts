import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, flag, headDim, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, MLP_BIASES, norm, QKV_BIASES, separateQkv, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";

const schema = v.looseObject({
  ...decoderFields,
  head_dim: v.optional(count, 128),
  attention_bias: flag,
  attention_out_bias: flag,
  mlp_bias: flag,
});

export const seedOss: Architecture = {
  name: "seed_oss",
  covers: ["Seed-OSS"],
  year: 2025,
  classes: ["SeedOssForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [...decoderKeys(config), ...ropeKeys(config, headDim(config))],
      optional: [
        ...(config.attention_bias === false ? [] : QKV_BIASES),
        ...(config.attention_out_bias === true ? (["attn_output_bias"] as const) : []),
        ...(config.mlp_bias === true ? MLP_BIASES : []),
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "optional" }),
    // By its name in checkpoints, though it is the feed-forward's.
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm").map((row) => ({
      ...row,
      name: "blk.{i}.post_attention_norm.weight",
    })),
    ...gatedMlp("model.layers.{i}.mlp", { bias: "optional" }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "halves"),
};
