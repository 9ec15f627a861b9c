import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { decoderFields, expectField, flag, reader } from "../config.js";
import { llama, readLlama } from "./llama.js";

// InternLM's first models are Llamas with biases in attention, which GGUF's "llama" has room for.

const schema = v.looseObject({
  ...decoderFields,
  bias: flag,
  rotary: v.optional(v.looseObject({ base: v.optional(v.number()), type: v.optional(v.string()) })),
});

export const internlm: Architecture = {
  ...llama,
  covers: ["InternLM 7B and 20B"],
  classes: ["InternLMForCausalLM"],
  read: reader(schema, (config) => {
    // Dynamic scaling begins beyond the trained context.
    expectField("rotary.type", config.rotary?.type ?? "origin", "origin", "dynamic");
    const theta = config.rotary?.base ?? config.rope_theta;
    return readLlama({ ...config, rope_theta: theta, attention_bias: config.bias });
  }),
};
