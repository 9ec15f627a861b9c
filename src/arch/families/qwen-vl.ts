import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, HfModel } from "../architecture.js";
import { expectField, flag, reader } from "../config.js";
import { moeFields, readMoe } from "./qwen-moe.js";
import { qwen2, qwenFields, readQwen } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";
import { qwen3moe } from "./qwen3moe.js";
import { sectionKeys } from "./sections.js";

// The language models of Qwens that see.

const vision = v.looseObject({ deepstack_visual_indexes: v.array(v.number()) });

type Positions = readonly number[];

/** The model, and what its GGUF says for pictures. */
function withPictures(model: HfModel, config: Record<string, unknown>, usual: Positions): HfModel {
  const deep = v.safeParse(vision, config["vision_config"]);
  return {
    ...model,
    keys: [
      ...model.keys,
      ...sectionKeys(config, usual),
      ...(deep.success
        ? [["n_deepstack_layers", meta.u32(deep.output.deepstack_visual_indexes.length)] as const]
        : []),
    ],
  };
}

type Scaled = { rope_scaling?: unknown; rope_parameters?: unknown };

/** The first releases call it RoPE of type mrope, which for texts is plain. */
function plain<T extends Scaled>(config: T): T {
  const rename = (rope: unknown) => {
    const parsed = v.safeParse(v.looseObject({}), rope);
    if (!parsed.success) return rope;
    const { type, rope_type, ...rest } = parsed.output;
    const kinds = Object.entries({ type, rope_type }).filter(([, kind]) => kind !== undefined);
    return {
      ...rest,
      ...Object.fromEntries(kinds.map(([key, kind]) => [key, kind === "mrope" ? "default" : kind])),
    };
  };
  const { rope_scaling, rope_parameters } = config;
  return { ...config, rope_scaling: rename(rope_scaling), rope_parameters: rename(rope_parameters) };
}

/** A reader of configs whose RoPE may be of type mrope. */
function pictureReader<S extends v.GenericSchema>(
  schema: S,
  usual: Positions,
  read: (config: v.InferOutput<S>) => HfModel,
): Architecture["read"] {
  const of = reader(schema, (config) => withPictures(read(config), config as Record<string, unknown>, usual));
  return (file, json) => of(file, plain(json as Scaled));
}

const dense = v.looseObject({ ...qwenFields, attention_bias: flag });
const mixture = v.looseObject({ ...moeFields, attention_bias: flag });

export const qwen2vl: Architecture = {
  ...qwen2,
  name: "qwen2vl",
  covers: ["Qwen2-VL and Qwen2.5-VL"],
  year: 2025,
  classes: ["Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"],
  read: pictureReader(dense, [16, 24, 24], (config) => readQwen(config)),
};

/** transformers' class has no windows, whatever a config says that was made of Qwen3's. */
const withoutWindows = { use_sliding_window: false, layer_types: undefined } as const;

export const qwen3vl: Architecture = {
  ...qwen3,
  name: "qwen3vl",
  covers: ["Qwen3-VL"],
  year: 2025,
  classes: ["Qwen3VLForConditionalGeneration"],
  read: pictureReader(dense, [24, 20, 20], (config) => {
    expectField("attention_bias", config.attention_bias ?? false, false);
    return readQwen({ ...config, ...withoutWindows });
  }),
};

export const qwen3vlmoe: Architecture = {
  ...qwen3moe,
  name: "qwen3vlmoe",
  covers: ["Qwen3-VL-MoE"],
  year: 2025,
  classes: ["Qwen3VLMoeForConditionalGeneration"],
  read: pictureReader(mixture, [24, 20, 20], (config) => {
    expectField("attention_bias", config.attention_bias ?? false, false);
    // Its text model has no such field: weights are always normed.
    expectField("norm_topk_prob", config.norm_topk_prob ?? true, true);
    return readMoe(
      { ...config, ...withoutWindows, norm_topk_prob: true },
      { normalize: true, window: () => false },
    );
  }),
};
