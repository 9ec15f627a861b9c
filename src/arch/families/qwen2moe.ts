import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture } from "../architecture.js";
import { count, flag, reader } from "../config.js";
import { linear, norm, QKV_BIASES, separateQkv, tensor } from "../rows.js";
import { routerOf } from "./experts.js";
import { gatedSharedExpert, moe, moeFields, readMoe } from "./qwen-moe.js";
import { qwenDecoder } from "./qwen2.js";

const schema = v.looseObject({ ...moeFields, shared_expert_intermediate_size: count, qkv_bias: flag });

/** Beside the experts that are chosen, every token goes through a shared one, as much as its own router says. */
export const qwen2moe: Architecture = {
  name: "qwen2moe",
  covers: ["Qwen1.5-MoE", "Qwen2-MoE"],
  classes: ["Qwen2MoeForCausalLM"],
  read: reader(schema, (config) => {
    const most = config.max_window_layers ?? 28;
    const model = readMoe(config, { normalize: false, window: (layer) => layer % 2 === 0 && layer < most });
    const shared = meta.u32(config.shared_expert_intermediate_size);
    return {
      ...model,
      keys: [...model.keys, ["expert_shared_feed_forward_length", shared] as const],
      optional: config.qkv_bias === false ? [] : QKV_BIASES,
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...moe,
    ...gatedSharedExpert,
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq"],
  decoder: (h) => qwenDecoder(h, routerOf(h, { gating: "softmax" })),
};
