import { basename, lstatSync, readlinkSync } from "#host/files";
import { type Metadata, type MetaField, nameProblem } from "../../formats/container.js";
import { LlqError } from "../../formats/errors.js";
import { ALIGNMENT_KEY } from "../../formats/gguf/gguf.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import type { Imatrix } from "../../formats/imatrix/imatrix.js";
import { t } from "../language/t.js";
import { VERSION } from "../version.js";
import type { Recipe } from "./recipes/recipes.js";

export type KeyValue = readonly [key: string, field: MetaField];

/** How the value of `key=type:value` is read; the types are llama-quantize's. */
const VALUE_TYPES: Readonly<Record<string, (text: string) => MetaField | undefined>> = {
  int: (text) => (/^\d+$/.test(text) && Number(text) < 2 ** 32 ? meta.u32(Number(text)) : undefined),
  float: (text) => (text !== "" && Number.isFinite(Number(text)) ? meta.f32(Number(text)) : undefined),
  bool: (text) => (text === "true" || text === "false" ? meta.bool(text === "true") : undefined),
  str: (text) => meta.string(text),
};

/** Reads `key=type:value`, such as `llama.rope.freq_base=float:500000`. @throws LlqError `usage` */
export function parseKeyValue(text: string): KeyValue {
  const [, key, type, value] = /^([^=]*)=([^:]*):(.*)$/s.exec(text) ?? [];
  const fail = (why: string): never => {
    throw new LlqError("usage", t`--override-kv ${text}: ${why}`, {
      hint: t`key=type:value with type int, float, bool or str, such as llama.rope.freq_base=float:500000`,
    });
  };
  if (key === undefined) return fail(t`not of the form key=type:value`);
  const problem = nameProblem(key);
  if (problem !== undefined) return fail(t`the key ${problem}`);
  if (key === ALIGNMENT_KEY) return fail(t`the alignment cannot be chosen`);
  if (!Object.hasOwn(VALUE_TYPES, type!)) return fail(t`unknown type ${type}`);
  return [key, VALUE_TYPES[type!]!(value!) ?? fail(t`${value} is no value of type ${type}`)];
}

/**
 * Where a file comes from: this program's version, the recipe, and what the Hub calls each source file in its cache:
 * a snapshot's entry is a link to a blob, whose name is the sha256 that the Hub gave. Nothing was hashed here, so the
 * key does not say so; a blob that is itself a link, to a store of another kind, has its own name nonetheless.
 */
export function provenance(files: readonly string[], recipe: Recipe): KeyValue[] {
  const keys: KeyValue[] = [
    ["llq.version", meta.string(VERSION)],
    ["llq.recipe", meta.string(recipe.name)],
  ];
  const blobs = files.flatMap((file) => blobName(file) ?? []);
  if (blobs.length === files.length && blobs.length > 0) keys.push(["llq.source.blobs", meta.strings(blobs)]);
  return keys;
}

function blobName(file: string): string | undefined {
  if (!lstatSync(file).isSymbolicLink()) return undefined;
  const [, name] = /(?:^|[\\/])blobs[\\/]([0-9a-f]{64})$/.exec(readlinkSync(file)) ?? [];
  return name;
}

/** What the metadata says of the importance matrix that was used. */
export function imatrixMetadata({ file, entries, datasets, chunks }: Imatrix): KeyValue[] {
  const keys: KeyValue[] = [["quantize.imatrix.file", meta.string(basename(file))]];
  if (datasets.length > 0) keys.push(["quantize.imatrix.dataset", meta.string(datasets[0]!)]);
  keys.push(["quantize.imatrix.entries_count", meta.u32(entries.size)]);
  if (chunks > 0) keys.push(["quantize.imatrix.chunks_count", meta.u32(chunks)]);
  return keys;
}

/** What a file says that was rounded with error feedback: how. */
export const CALIBRATION_KEY = "llq.calibration.effort";

/** What the metadata says of the text that error feedback went by. */
export function calibrationMetadata(effort: string, chunks: number, context: number): KeyValue[] {
  return [
    [CALIBRATION_KEY, meta.string(effort)],
    ["llq.calibration.chunks", meta.u32(chunks)],
    ["llq.calibration.context", meta.u32(context)],
  ];
}

/** The metadata with what the recipe and the user change, existing keys in their place. */
export function outputMetadata(
  metadata: Metadata,
  recipe: Recipe,
  changes: readonly KeyValue[],
): Map<string, MetaField> {
  const result = new Map(metadata);
  result.set("general.file_type", meta.u32(recipe.fileType));
  result.set("general.quantization_version", meta.u32(2));
  for (const [key, field] of changes) result.set(key, field);
  return result;
}
