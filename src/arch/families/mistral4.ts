import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture } from "../architecture.js";
import { reader } from "../config.js";
import { withFusedExperts } from "../fused.js";
import { deepSeekSchema, deepseek2, readDeepSeek } from "./deepseek2.js";
import { growingRope } from "./mistral3.js";

const schema = v.looseObject({
  ...deepSeekSchema.entries,
  rope_parameters: v.nullish(growingRope),
  rope_scaling: v.nullish(growingRope),
});

function ropeOf({ rope_parameters, rope_scaling }: v.InferOutput<typeof schema>) {
  return rope_parameters ?? rope_scaling ?? {};
}

/** DeepSeek's attention and experts; queries grow with their position. */
export const mistral4: Architecture = withFusedExperts({
  ...deepseek2,
  name: "mistral4",
  covers: ["Mistral Small 4"],
  year: 2026,
  classes: ["Mistral4ForCausalLM", "Mistral3ForConditionalGeneration"],
  accepts: ({ model_type }) => model_type === "mistral4",
  read: reader(schema, (config) => {
    const model = readDeepSeek(config, { gating: "softmax", normalize: true });
    const { llama_4_scaling_beta: beta, original_max_position_embeddings: length } = ropeOf(config);
    if (!beta) return model;
    // llama.cpp's converter leaves them out; its loader takes both or ends.
    return {
      ...model,
      keys: [
        ...model.keys,
        ["attention.temperature_scale", meta.f32(beta)],
        ["attention.temperature_length", meta.u32(length ?? config.max_position_embeddings)],
      ],
    };
  }),
});
