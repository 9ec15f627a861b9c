import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { expectField, flag, reader } from "../config.js";
import { norm, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";
import { routerOf } from "./experts.js";
import { moe, moeFields, readMoe } from "./qwen-moe.js";
import { qwen3Attention } from "./qwen3.js";

const schema = v.looseObject({ ...moeFields, attention_bias: flag });

export const qwen3moe: Architecture = {
  name: "qwen3moe",
  covers: ["Qwen3-MoE"],
  classes: ["Qwen3MoeForCausalLM"],
  read: reader(schema, (config) => {
    expectField("attention_bias", config.attention_bias ?? false, false);
    // GGUF has no word for it: its readers take what each architecture's models have.
    expectField("norm_topk_prob", config.norm_topk_prob ?? false, true);
    return readMoe(config);
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...qwen3Attention,
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...moe,
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "halves", { router: routerOf(h, { gating: "softmax", normalize: true }) }),
};
