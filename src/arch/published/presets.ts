import { LlqError, nearest } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { PUBLISHED_EXPERTS } from "./experts.js";
import { PUBLISHED_GEMMA } from "./gemma.js";
import { PUBLISHED_HYBRIDS } from "./hybrids.js";
import { PUBLISHED_MIXED } from "./mixed.js";
import { PUBLISHED } from "./published.js";

/** Sizes by which people know a model. */
const SHORT: Readonly<Record<string, string>> = {
  "0.5b": "qwen2.5-0.5b",
  "1b": "llama-3.2-1b",
  "3b": "llama-3.2-3b",
  "7b": "llama-2-7b",
  "8b": "llama-3.1-8b",
  "9b": "glm-4-9b",
  "13b": "llama-2-13b",
  "14b": "qwen2.5-14b",
  "32b": "qwen2.5-32b",
  "65b": "llama-65b",
  "70b": "llama-3.1-70b",
  "72b": "qwen2.5-72b",
  "405b": "llama-3.1-405b",
  "8x7b": "mixtral-8x7b",
};

export interface Preset {
  readonly name: string;
  /** As config.json. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Published models by name. */
export const PRESETS: ReadonlyMap<string, Preset> = new Map(
  [...PUBLISHED, ...PUBLISHED_EXPERTS, ...PUBLISHED_GEMMA, ...PUBLISHED_HYBRIDS, ...PUBLISHED_MIXED].flatMap(
    ({ base, fields, models }) =>
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
  throw new LlqError("usage", t`--params ${text}: no such published size`, {
    hint: t`${near === undefined ? "" : t`did you mean ${near}? `}known: ${[...PRESETS.keys()].join(", ")}`,
  });
}
