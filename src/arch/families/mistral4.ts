import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture } from "../architecture.js";
import { reader } from "../config.js";
import { withFusedExperts } from "../fused.js";
import { deepSeekSchema, deepseek2, latentDecoder, readDeepSeek } from "./deepseek2.js";
import { growingRope, temperatureOf } from "./mistral3.js";

const schema = v.looseObject({
  ...deepSeekSchema.entries,
  rope_parameters: v.nullish(growingRope),
  rope_scaling: v.nullish(growingRope),
});

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
    const { llama_4_scaling_beta: beta } = config.rope_parameters ?? config.rope_scaling ?? {};
    if (!beta) return model;
    return {
      ...model,
      keys: [...model.keys, ["attention.temperature_scale", meta.f32(beta)]],
      remarks: [
        ...(model.remarks ?? []),
        "queries grow with their position (llama_4_scaling_beta), beyond the context that RoPE was trained with; llama.cpp leaves them as they are",
      ],
    };
  }),
  decoder: (h) => latentDecoder(h, { gating: "softmax" }, { temperature: temperatureOf(h) }),
});
