import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import {
  count,
  decoderFields,
  decoderKeys,
  expectField,
  flag,
  headDim,
  layerTypes,
  reader,
} from "../config.js";
import { hasExperts } from "../hparams.js";
import { ropeKeys } from "../rope-scaling.js";
import { ropeDivisors } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { allButEvery, patternKeys, windowLayers } from "../windows.js";
import { llama } from "./llama.js";

const schema = v.looseObject({
  ...decoderFields,
  num_key_value_heads: v.nullish(count, 4),
  attention_bias: flag,
  mlp_bias: flag,
  /** 1 for layers that have RoPE. */
  no_rope_layers: v.nullish(v.array(v.picklist([0, 1]))),
  no_rope_layer_interval: v.nullish(count, 4),
  use_sliding_window: flag,
  sliding_window: v.nullish(count),
  layer_types: layerTypes,
});

/** Whether a layer has RoPE, where a file does not say. */
const usual = allButEvery(4);

/** Which layers have RoPE. @throws LlqError `bad-input` unless it is said of each */
export function ropeLayers(config: {
  readonly num_hidden_layers: number;
  readonly no_rope_layers?: readonly number[] | null | undefined;
  readonly no_rope_layer_interval: number;
}): boolean[] {
  const { num_hidden_layers: layers, no_rope_layers: list, no_rope_layer_interval } = config;
  const every = allButEvery(no_rope_layer_interval);
  if (list == null || list.length === 0) return Array.from({ length: layers }, (_, layer) => every(layer));
  if (list.length >= layers) return list.slice(0, layers).map((has) => has === 1);
  throw badInput(t`config.json: no_rope_layers has ${list.length} values for ${layers} layers`);
}

function readSmolLm3(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  // llama.cpp has no place for them.
  expectField("attention_bias", config.attention_bias ?? false, false);
  expectField("mlp_bias", config.mlp_bias ?? false, false);
  const { rope_theta, use_sliding_window, sliding_window } = config;
  const hasRope = ropeLayers(config);
  const window = use_sliding_window === true ? (sliding_window ?? undefined) : undefined;
  const hasWindow = windowLayers(config, (layer) => !hasRope[layer]);
  const isWindowed = window !== undefined && hasWindow.includes(true);
  const ropes = patternKeys("attention.rope_pattern", hasRope, usual);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings ?? true,
    keys: [
      ...decoderKeys(config),
      ...ropeKeys({ ...config, rope_theta: rope_theta ?? 2000000 }, headDim(config)),
      ...ropes,
      ...(isWindowed
        ? ([
            ["attention.sliding_window", meta.u32(window)],
            ["attention.sliding_window_pattern", meta.bools(hasWindow)],
          ] as const)
        : []),
    ],
    remarks: [
      ...(ropes.length > 0
        ? [t`llama.cpp has every 4th layer without RoPE; the layers that config.json says are others`]
        : []),
      ...(isWindowed ? [t`llama.cpp knows of no window of ${window} tokens in a SmolLM3`] : []),
    ],
  };
}

/** A Llama some of whose layers have no RoPE. */
export const smollm3: Architecture = {
  ...llama,
  name: "smollm3",
  covers: ["SmolLM3"],
  year: 2025,
  classes: ["SmolLM3ForCausalLM"],
  read: reader(schema, readSmolLm3),
  // llama.cpp reads no divisors of RoPE here, no biases, and no experts.
  tensors: llama.tensors.filter(
    (row) => !ropeDivisors.includes(row) && !row.role.endsWith("_bias") && row.when !== hasExperts,
  ),
  decoder: (h) =>
    decoderOf(h, (layer) => {
      const { hasRope = usual(layer), hasWindow = false } = h.layers[layer]!;
      return attention({
        rope: hasRope ? { pairs: "neighbours" } : undefined,
        window: hasWindow ? h.slidingWindow : undefined,
      });
    }),
};
