import { readSmallFile } from "../../formats/bytes.js";
import { type MetaField, nameProblem } from "../../formats/container.js";
import { badInput } from "../../formats/errors.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { parseJson } from "../../formats/json.js";
import { t } from "../language/t.js";

const MAX_BYTES = 16 << 20;
const WHOLE_NUMBERS = new Set(
  ["top_k", "penalty_last_n", "mirostat"].map((key) => `general.sampling.${key}`),
);

/**
 * Reads the file that llama.cpp's converter takes with --metadata: a JSON object of `general.*` keys, whose values are
 * texts, lists of texts, and numbers for sampling.
 * @throws LlqError `bad-input` for other keys and values
 */
export function readMetadataFile(path: string): [key: string, field: MetaField][] {
  const json = parseJson(path, readSmallFile(path, MAX_BYTES));
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw badInput(t`${path}: not a JSON object`);
  return Object.entries(json).map(([key, value]) => {
    if (!key.startsWith("general.") || nameProblem(key) !== undefined) {
      throw badInput(
        t`${path}: ${JSON.stringify(key.slice(0, 80))} is no key of general.*`,
        t`--override-kv sets any key`,
      );
    }
    const field = fieldOf(key, value);
    if (field === undefined)
      throw badInput(t`${path}: ${key} is neither a text, a list of texts nor a number for sampling`);
    return [key, field];
  });
}

function fieldOf(key: string, value: unknown): MetaField | undefined {
  if (typeof value === "string") return meta.string(value);
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return meta.strings(value);
  if (typeof value !== "number" || !key.startsWith("general.sampling.")) return undefined;
  if (!WHOLE_NUMBERS.has(key)) return meta.f32(value);
  return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? meta.i32(value) : undefined;
}
