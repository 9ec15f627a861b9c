import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture } from "../architecture.js";
import { count, reader } from "../config.js";
import { llama, llamaSchema, readLlama } from "./llama.js";

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
    const model = readLlama(config);
    const experts = [
      ["expert_count", meta.u32(config.num_local_experts)],
      ["expert_used_count", meta.u32(config.num_experts_per_tok)],
    ] as const;
    return { ...model, keys: [...model.keys, ...experts] };
  }),
};
