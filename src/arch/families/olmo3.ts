import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, decoderFields, layerTypes, reader } from "../config.js";
import { ropeBase, ropeByLayer } from "../rope-scaling.js";
import { allButEvery, windowLayers } from "../windows.js";
import { olmo2, readOlmo2 } from "./olmo2.js";

const schema = v.looseObject({
  ...decoderFields,
  attention_bias: v.nullish(v.boolean()),
  rope_parameters: ropeByLayer,
  sliding_window: v.nullish(count),
  layer_types: layerTypes,
});

/** Windows in most layers, whose RoPE is not stretched. */
function readOlmo3({ rope_parameters, ...config }: v.InferOutput<typeof schema>): HfModel {
  const { full, window: inWindow } = rope_parameters ?? {};
  const base = ropeBase({ ...config, rope_parameters: full }, 500000);
  const windowBase = inWindow?.rope_theta ?? config.rope_theta ?? 500000;
  const model = readOlmo2({ ...config, rope_theta: base, rope_parameters: full });
  const hasWindow = windowLayers(config, allButEvery(4));
  return {
    ...model,
    keys: [
      ...model.keys,
      ["rope.freq_base_swa", meta.f32(windowBase)],
      ["attention.sliding_window", meta.u32(config.sliding_window ?? 4096)],
      ["attention.sliding_window_pattern", meta.bools(hasWindow)],
    ],
    remarks: [
      ...(model.remarks ?? []),
      ...(base === windowBase
        ? []
        : [t`llama.cpp takes RoPE's base ${base} in layers with a window, too, where it is ${windowBase}`]),
    ],
  };
}

export const olmo3: Architecture = {
  ...olmo2,
  covers: ["OLMo 3"],
  year: 2025,
  classes: ["Olmo3ForCausalLM"],
  read: reader(schema, readOlmo3),
};
