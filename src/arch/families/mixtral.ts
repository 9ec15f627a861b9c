import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { count, reader } from "../config.js";
import { expertKeys } from "./experts.js";
import { llama, llamaSchema, readMistral } from "./llama.js";

const schema = v.looseObject({
  ...llamaSchema.entries,
  num_local_experts: count,
  num_experts_per_tok: count,
});

/** A Llama whose feed-forwards are mixtures of experts. */
export const mixtral: Architecture = {
  ...llama,
  covers: ["Mixtral"],
  classes: ["MixtralForCausalLM"],
  read: reader(schema, (config) => {
    const model = readMistral({ ...config, rope_theta: config.rope_theta ?? 1e6 });
    const experts = expertKeys({ count: config.num_local_experts, used: config.num_experts_per_tok });
    return { ...model, keys: [...model.keys, ...experts] };
  }),
};
