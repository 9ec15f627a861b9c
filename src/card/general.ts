import * as v from "valibot";
import { decodeUtf8 } from "#host/bytes";
import { existsSync, join } from "#host/files";
import { readSmallFile } from "../../formats/bytes.js";
import type { MetaField } from "../../formats/container.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { parseJson } from "../../formats/json.js";
import { type CardValue, readFrontMatter } from "./front-matter.js";
import { type ModelId, parseModelId, sizeLabel, titleOf } from "./model-id.js";

/** What the files of a folder say of the model as a publication. */
export interface Publication {
  /** The name of the folder, or what the user knows the model by. */
  readonly name: string;
  readonly folder: string;
  /** config.json */
  readonly config: unknown;
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

type Fields = [key: string, field: MetaField][];

const MAX_BYTES = 16 << 20;

/** `general.*` keys with one text each, and the names that model cards have for them, the first first. */
const TEXTS: readonly (readonly [key: string, ...names: string[]])[] = [
  ["name", "name", "model_name"],
  ["author", "author", "model_author", "model_creator"],
  ["version", "version", "model_version"],
  ["organization", "organization", "model_organization"],
  ["finetune", "finetune", "model_finetune"],
  ["basename", "basename", "model_basename", "model_type"],
  ["description", "description", "model_description"],
  ["size_label", "size_label", "model_size_label"],
  ["license", "license"],
  ["license.name", "license_name"],
  ["license.link", "license_link"],
  ["source.url", "url", "model_url"],
  ["source.doi", "doi", "model_doi"],
  ["source.uuid", "uuid", "model_uuid"],
  ["source.repo_url", "repo_url", "model_repo_url"],
];

/**
 * The `general.*` keys that llama.cpp's converter makes of a model's card (README.md), config.json,
 * generation_config.json and the name of its folder (gguf-py's Metadata.load).
 */
export function generalKeys({ name, folder, config, tensors }: Publication): Fields {
  const card = existsSync(join(folder, "README.md")) ? readCard(join(folder, "README.md")) : new Map();
  const weights = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const path = (config as { _name_or_path?: unknown })._name_or_path;
  const isId = typeof path === "string" && path !== "" && path.split("/").length <= 2;
  const ids = [...(isId ? [path] : []), name].map((id) => parseModelId(id, weights));
  const fields: Fields = samplingKeys(folder);
  for (const [key, ...names] of TEXTS) {
    const value = names.map((each) => card.get(each)).find((each) => each !== undefined) ?? ofIds(key, ids);
    const text = value ?? (key === "name" ? name : key === "size_label" ? sizeLabel(tensors) : undefined);
    if (text !== undefined) fields.push([`general.${key}`, meta.string(asText(text))]);
  }
  const models = card.get("base_model") ?? card.get("base_models") ?? card.get("base_model_sources");
  const datasets = card.get("datasets") ?? card.get("dataset") ?? card.get("dataset_sources");
  fields.push(...sources("base_model", models, weights), ...sources("dataset", datasets, weights));
  for (const [key, ...names] of [
    ["tags", "tags", "pipeline_tag"],
    ["languages", "languages", "language"],
  ] as const) {
    const all = names.flatMap((each) => card.get(each) ?? []);
    if (all.length > 0) fields.push([`general.${key}`, meta.strings(all)]);
  }
  return fields;
}

function readCard(path: string): Map<string, CardValue> {
  return readFrontMatter(decodeUtf8(readSmallFile(path, MAX_BYTES)));
}

function asText(value: CardValue): string {
  return typeof value === "string" ? value : value.join(",");
}

function ofIds(key: string, ids: readonly ModelId[]): string | undefined {
  const of: Readonly<Record<string, (id: ModelId) => string | undefined>> = {
    name: (id) => titleOf(id.name),
    organization: (id) => id.organization && titleOf(id.organization),
    basename: (id) => id.basename,
    finetune: (id) => id.finetune,
    version: (id) => id.version,
    size_label: (id) => id.sizeLabel,
  };
  return ids.map((id) => of[key]?.(id)).find((each) => each !== undefined && each !== "");
}

/** What a model was made of: ids of the Hub, or addresses. */
function sources(kind: string, value: CardValue | undefined, weights: number): Fields {
  if (value === undefined) return [];
  const ids = [value].flat();
  const fields: Fields = [[`general.${kind}.count`, meta.u32(ids.length)]];
  for (const [i, id] of ids.entries()) {
    const isUrl = /^(https?|ssh):\/\//.test(id);
    const own = isUrl ? /^https?:\/\/huggingface\.co\/([^/]+\/[^/]+)$/.exec(id)?.[1] : id;
    const { name, organization, version } =
      own === undefined ? { name: undefined } : parseModelId(own, weights);
    const url = isUrl ? id : organization && `https://huggingface.co/${organization}/${name}`;
    const add = (key: string, text: string | undefined) => {
      if (text) fields.push([`general.${kind}.${i}.${key}`, meta.string(text)]);
    };
    add("name", name && titleOf(name));
    add("version", version);
    add("organization", organization && titleOf(organization));
    add("repo_url", url);
  }
  return fields;
}

const number = v.nullish(v.pipe(v.number(), v.finite()));
const generation = v.looseObject({
  temperature: number,
  top_k: number,
  top_p: number,
  min_p: number,
  repetition_penalty: number,
});

/** How the publisher has text drawn. */
function samplingKeys(folder: string): Fields {
  const file = join(folder, "generation_config.json");
  const found = existsSync(file)
    ? v.safeParse(generation, parseJson(file, readSmallFile(file, MAX_BYTES)))
    : undefined;
  if (found?.success !== true) return [];
  const { temperature, top_k: topK, top_p: topP, min_p: minP, repetition_penalty: penalty } = found.output;
  const f32 = (key: string, value: number | null | undefined): Fields =>
    value == null ? [] : [[`general.sampling.${key}`, meta.f32(value)]];
  const isWhole = topK != null && Number.isInteger(topK) && Math.abs(topK) < 2 ** 31;
  return [
    ...(isWhole ? [["general.sampling.top_k", meta.i32(topK)] as [string, MetaField]] : []),
    ...f32("top_p", topP),
    ...f32("min_p", minP),
    ...f32("temp", temperature),
    ...f32("penalty_repeat", penalty),
  ];
}
