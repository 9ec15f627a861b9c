import { LlqError, nearest } from "../../formats/errors.js";

/** Models that differ in a few fields of config.json only: what they share, which fields, and their values. */
interface PresetFamily {
  readonly base: Readonly<Record<string, unknown>>;
  readonly fields: readonly string[];
  readonly models: Readonly<Record<string, readonly (number | boolean)[]>>;
}

const LLAMA = {
  architectures: ["LlamaForCausalLM"],
  rms_norm_eps: 1e-5,
};
const DECODER = [
  "hidden_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "intermediate_size",
  "vocab_size",
  "max_position_embeddings",
];

/** What each family's config.json says in published models, as far as it decides shapes. */
// biome-ignore format: columns
const FAMILIES: readonly PresetFamily[] = [
  {
    base: LLAMA,
    fields: DECODER,
    models: {
      "llama-7b":     [4096, 32, 32, 32, 11008, 32000, 2048],
      "llama-13b":    [5120, 40, 40, 40, 13824, 32000, 2048],
      "llama-33b":    [6656, 60, 52, 52, 17920, 32000, 2048],
      "llama-65b":    [8192, 80, 64, 64, 22016, 32000, 2048],
      "llama-2-7b":   [4096, 32, 32, 32, 11008, 32000, 4096],
      "llama-2-13b":  [5120, 40, 40, 40, 13824, 32000, 4096],
      "llama-2-70b":  [8192, 80, 64, 8,  28672, 32000, 4096],
      "llama-3-8b":   [4096, 32, 32, 8,  14336, 128256, 8192],
      "llama-3-70b":  [8192, 80, 64, 8,  28672, 128256, 8192],
    },
  },
];

/** Sizes by which people know a model. */
const SHORT: Readonly<Record<string, string>> = {
  "7b": "llama-2-7b",
  "13b": "llama-2-13b",
};

export interface Preset {
  readonly name: string;
  /** As config.json. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Published models by name. */
export const PRESETS: ReadonlyMap<string, Preset> = new Map(
  FAMILIES.flatMap(({ base, fields, models }) =>
    Object.entries(models).map(([name, values]): [string, Preset] => {
      const own = Object.fromEntries(fields.map((field, i) => [field, values[i]]));
      return [name, { name, config: { ...base, ...own } }];
    }),
  ),
);

/** By name or by size, such as `7B`. @throws LlqError `usage` naming all */
export function findPreset(text: string): Preset {
  const name = text.toLowerCase();
  const found = PRESETS.get(SHORT[name] ?? name);
  if (found !== undefined) return found;
  const near = nearest(name, [...PRESETS.keys(), ...Object.keys(SHORT)]);
  throw new LlqError("usage", `--params ${text}: no such published size`, {
    hint: `${near === undefined ? "" : `did you mean ${near}? `}known: ${[...PRESETS.keys()].join(", ")}`,
  });
}
