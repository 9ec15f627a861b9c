import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, HfModel } from "../architecture.js";
import { headDim, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import { ropeKeys, ropeScaling } from "../rope-scaling.js";
import { attention, decoderOf, type Temperature } from "../traits.js";
import { llama, llamaSchema, readMistral } from "./llama.js";

/** RoPE of models whose queries grow with their position. */
export const growingRope = v.looseObject({
  ...ropeScaling.entries,
  llama_4_scaling_beta: v.nullish(v.pipe(v.number(), v.minValue(0))),
});
const schema = v.looseObject({
  ...llamaSchema.entries,
  model_type: v.nullish(v.string()),
  rope_parameters: v.nullish(growingRope),
  rope_scaling: v.nullish(growingRope),
});

/** transformers' RoPE where the config has none. */
const USUAL: v.InferOutput<typeof growingRope> = {
  rope_type: "yarn",
  rope_theta: 1e6,
  factor: 16,
  original_max_position_embeddings: 16384,
  beta_fast: 32,
  beta_slow: 1,
  mscale_all_dim: 1,
  mscale: 1,
  llama_4_scaling_beta: 0.1,
};

/** A Llama whose queries grow with their position; or, as it is wrapped for Mistral Small 3, a Mistral. */
function readMistral3(config: v.InferOutput<typeof schema>): HfModel {
  if (config.model_type !== "ministral3") return readMistral(config);
  const rope = config.rope_parameters ?? config.rope_scaling ?? USUAL;
  const model = readMistral({ ...config, rope_parameters: undefined, rope_scaling: undefined });
  const { llama_4_scaling_beta: beta } = rope;
  return {
    ...model,
    keys: [
      ...model.keys.filter(([key]) => !key.startsWith("rope.")),
      ...ropeKeys({ ...config, rope_parameters: rope }, headDim(config), { logMultiplier: true }),
      ...(beta ? [["attention.temperature_scale", meta.f32(beta)] as const] : []),
    ],
  };
}

/** By how much queries grow: beyond the context that RoPE was trained with. */
export function temperatureOf(h: HParams): Temperature | undefined {
  const { temperatureScale: scale, temperatureLength, ropeOriginalContext } = h;
  return scale === undefined
    ? undefined
    : { scale, length: temperatureLength ?? ropeOriginalContext, offset: 0 };
}

export const mistral3: Architecture = {
  ...llama,
  name: "mistral3",
  covers: ["Mistral Small 3.1 and Ministral 3"],
  year: 2025,
  classes: ["Mistral3ForConditionalGeneration", "Ministral3ForCausalLM"],
  // The whole's type, where that of its language model is not said: that is a Mistral.
  accepts: ({ model_type }) =>
    ["mistral", "mistral3", "ministral3"].includes(String(model_type ?? "mistral")),
  read: reader(schema, readMistral3),
  decoder: (h) => {
    const temperature = temperatureOf(h);
    return decoderOf(h, () =>
      attention({ rope: { pairs: "neighbours" }, window: h.slidingWindow, temperature }),
    );
  },
};
