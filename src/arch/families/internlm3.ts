import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { flag, reader } from "../config.js";
import { QKV_BIASES } from "../rows.js";
import { llama, llamaSchema, readLlama } from "./llama.js";

// InternLM3's models are Llamas, which may have biases.

const schema = v.looseObject({ ...llamaSchema.entries, qkv_bias: flag, bias: flag });

export const internlm3: Architecture = {
  ...llama,
  covers: ["InternLM3"],
  year: 2025,
  classes: ["InternLM3ForCausalLM"],
  read: reader(schema, (config) => {
    const model = readLlama({ ...config, attention_bias: false, mlp_bias: config.bias });
    return {
      ...model,
      optional: [
        ...(model.optional ?? []),
        ...(config.qkv_bias === true ? QKV_BIASES : []),
        ...(config.bias === true ? (["attn_output_bias"] as const) : []),
      ],
    };
  }),
};
