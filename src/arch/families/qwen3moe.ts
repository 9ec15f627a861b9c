import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { flag, reader } from "../config.js";
import { norm, tensor } from "../rows.js";
import { routerOf } from "./experts.js";
import { moe, moeFields, readMoe } from "./qwen-moe.js";
import { qwenDecoder } from "./qwen2.js";
import { qwen3Attention, withBiases } from "./qwen3.js";

const schema = v.looseObject({ ...moeFields, attention_bias: flag });

export const qwen3moe: Architecture = {
  name: "qwen3moe",
  covers: ["Qwen3-MoE"],
  year: 2025,
  classes: ["Qwen3MoeForCausalLM"],
  read: reader(schema, (config) => {
    const model = readMoe(config, { normalize: true, window: () => true });
    return withBiases(model, config.attention_bias);
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
  decoder: (h) => qwenDecoder(h, routerOf(h, { gating: "softmax", normalize: true })),
};
