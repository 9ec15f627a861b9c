import * as v from "valibot";
import { LlqError } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { count, layerTypes, reader } from "../config.js";
import { type HParams, hasExperts, isDense } from "../hparams.js";
import { tensor } from "../rows.js";
import { type AttentionTraits, attention, type DecoderTraits, type RouterTraits } from "../traits.js";
import { patternKeys, windowLayers } from "../windows.js";
import { granite, graniteKeys, graniteSchema, scaledKind } from "./granite.js";
import { readMistral } from "./llama.js";

export const graniteSwaSchema = v.looseObject({
  ...graniteSchema.entries,
  sliding_window: v.nullish(count, 128),
  layer_types: layerTypes,
  /** Of each layer, 0 for none. */
  layer_rope_theta: v.nullish(v.array(v.pipe(v.number(), v.finite(), v.minValue(0)))),
  /** The same in older configs: 1 for layers that have RoPE. */
  no_rope_layers: v.nullish(v.array(v.picklist([0, 1]))),
});
type Config = v.InferOutput<typeof graniteSwaSchema>;

/** RoPE's base, and which layers have RoPE. @throws LlqError `unsupported` for several bases */
function ropes({ layer_rope_theta: list, no_rope_layers, num_hidden_layers: layers }: Config) {
  const of = list ?? no_rope_layers ?? new Array<number>(layers).fill(1);
  const bases = [...new Set(list ?? [])].filter((base) => base > 0);
  if (bases.length > 1) {
    throw new LlqError("unsupported", t`config.json: layer_rope_theta has bases ${bases.join(", ")}`, {
      hint: t`supported: one, and 0 for layers without RoPE`,
    });
  }
  return { base: bases[0], hasRope: Array.from({ length: layers }, (_, layer) => of[layer] !== 0) };
}

export function readGraniteSwa(config: Config): HfModel {
  const { base, hasRope } = ropes(config);
  const rope = config.rope_parameters && { ...config.rope_parameters, ...(base && { rope_theta: base }) };
  const model = readMistral({ ...config, rope_theta: base ?? config.rope_theta, rope_parameters: rope });
  const hasWindow = windowLayers(config, (layer) => layer % 4 !== 0);
  return {
    ...model,
    tied: config.tie_word_embeddings ?? true,
    keys: [
      ...model.keys,
      ...graniteKeys(config),
      ["attention.sliding_window_pattern", meta.bools(hasWindow)],
      ...patternKeys("attention.rope_pattern", hasRope, () => true),
    ],
  };
}

/** A Granite with windows in some layers, and without RoPE in others. */
export function windowedKind(h: HParams, router?: RouterTraits): DecoderTraits {
  const usual = scaledKind(h, "neighbours", router);
  return {
    ...usual,
    layers: usual.layers.map((layer, i) => {
      const { hasWindow = i % 4 !== 0, hasRope = true } = h.layers[i]!;
      const { rope, ...mixer } = layer.mixer as AttentionTraits;
      const window = hasWindow ? h.slidingWindow : undefined;
      return { ...layer, mixer: attention({ ...mixer, window, rope: hasRope ? rope : undefined }) };
    }),
  };
}

/** Without experts: those have a table of their own. */
const dense = granite.tensors
  .filter(({ when }) => when !== hasExperts)
  .map(({ when, ...row }): TensorRow => (when === undefined || when === isDense ? row : { ...row, when }));

/** A Granite with sinks, and windows in three layers of four. */
export const graniteSwa: Architecture = {
  ...granite,
  name: "granite_swa",
  covers: ["Granite with windows and sinks"],
  year: 2026,
  classes: ["GraniteSWAForCausalLM"],
  read: reader(graniteSwaSchema, readGraniteSwa),
  tensors: [...dense, tensor("attn_sinks", ["heads"], "model.layers.{i}.self_attn.sinks")],
  decoder: (h) => windowedKind(h),
};
