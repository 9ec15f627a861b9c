import * as v from "valibot";
import { decodeUtf8 } from "#host/bytes";
import { basename, join } from "#host/files";
import { listFolder, readSmallFile } from "../../../formats/bytes.js";
import { badInput } from "../../../formats/errors.js";
import { faultsOf } from "../../../formats/faults.js";
import { parseJson } from "../../../formats/json.js";
import { t } from "../../language/t.js";
import { DEFAULT_TEMPLATE, type SpecialToken } from "../types.js";

/** What the files beside a vocabulary say about it. A file that is not there says nothing. */
export interface TokenizerConfig {
  readonly addBos: boolean | undefined;
  readonly addEos: boolean | undefined;
  readonly addSpacePrefix: boolean | undefined;
  /** transformers' class for the tokenizer. */
  readonly tokenizerClass: string | undefined;
  /** Of Llama's class: text behind an added token is prefixed again. */
  readonly legacy: boolean | undefined;
  /** Texts of tokens with a role. */
  readonly texts: ReadonlyMap<SpecialToken, string>;
  /** Ids of tokens with a role, where no text settles it. */
  readonly ids: ReadonlyMap<SpecialToken, number>;
  readonly added: readonly AddedToken[];
  readonly chatTemplates: ReadonlyMap<string, string>;
  /** Ids before those of the vocabulary, in ChatGLM-6B's first release. */
  readonly imageTokens: number;
  /** What a user should know of how these files were read. */
  readonly remarks: readonly string[];
}

/** Where there is nothing but the vocabulary. */
export const NO_CONFIG: TokenizerConfig = {
  addBos: undefined,
  addEos: undefined,
  addSpacePrefix: undefined,
  tokenizerClass: undefined,
  legacy: undefined,
  texts: new Map(),
  ids: new Map(),
  added: [],
  chatTemplates: new Map(),
  imageTokens: 0,
  remarks: [],
};

/** A token added to a vocabulary after its training. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Not part of plain text. */
  readonly special: boolean;
}

/** The roles that Hugging Face's files name, in llama.cpp's order. */
const ROLES = [
  "bos",
  "eos",
  "unk",
  "sep",
  "pad",
  "cls",
  "mask",
  "gmask",
] as const satisfies readonly SpecialToken[];

const id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1));
const tokenText = v.union([v.string(), v.looseObject({ content: v.string() })]);
const namedTemplate = v.object({ name: v.string(), template: v.string() });
const chatTemplate = v.union([v.string(), v.array(namedTemplate)]);

const tokenizerConfig = v.looseObject({
  add_bos_token: v.nullish(v.boolean()),
  add_eos_token: v.nullish(v.boolean()),
  add_prefix_space: v.nullish(v.boolean()),
  tokenizer_class: v.nullish(v.string()),
  legacy: v.nullish(v.boolean()),
  num_image_tokens: v.nullish(id),
  added_tokens_decoder: v.nullish(
    v.record(v.string(), v.looseObject({ content: v.string(), special: v.optional(v.boolean()) })),
  ),
  chat_template: v.nullish(v.unknown()),
});
const addedTokens = v.record(v.string(), id);
const anyObject = v.record(v.string(), v.unknown());

/** Larger than any seen, and small enough to parse at once. */
const MAX_BYTES = 64 << 20;

/**
 * Reads tokenizer_config.json, special_tokens_map.json, added_tokens.json, config.json, generation_config.json
 * and the files of chat templates. Where two speak of the same thing, the order is llama.cpp's.
 * @throws LlqError `bad-input` for a file that does not hold what its name says
 */
export function readTokenizerConfig(folder: string): TokenizerConfig {
  const names = listFolder(folder) ?? [];
  const read = <T extends v.GenericSchema>(name: string, schema: T): v.InferOutput<T> | undefined =>
    names.includes(name) ? checked(join(folder, name), schema) : undefined;
  const config = read("tokenizer_config.json", tokenizerConfig);
  const specialMap = read("special_tokens_map.json", anyObject);
  const model = read("config.json", anyObject);
  const generation = read("generation_config.json", anyObject);
  const own = v.safeParse(v.nullish(chatTemplate), config?.chat_template);
  const template = (own.success ? own.output : undefined) ?? chatTemplateFile(folder, names);
  const additional = names.includes(ADDITIONAL) ? additionalTemplates(join(folder, ADDITIONAL)) : [];
  return {
    addBos: config?.add_bos_token ?? undefined,
    addEos: config?.add_eos_token ?? undefined,
    addSpacePrefix: config?.add_prefix_space ?? undefined,
    tokenizerClass: config?.tokenizer_class ?? undefined,
    legacy: config?.legacy ?? undefined,
    texts: specialTexts([config, specialMap]),
    ids: specialIds([model, generation]),
    added: mergeAdded(read("added_tokens.json", addedTokens), config?.added_tokens_decoder ?? undefined),
    chatTemplates: namedTemplates(template, additional),
    imageTokens: config?.num_image_tokens ?? 0,
    remarks: own.success
      ? []
      : [t`${join(folder, "tokenizer_config.json")}: chat_template is no template, and left out`],
  };
}

/** A JSON file's value, of the shape wanted. */
function checked<T extends v.GenericSchema>(path: string, schema: T): v.InferOutput<T> {
  const result = v.safeParse(schema, parseJson(path, readSmallFile(path, MAX_BYTES)));
  if (result.success) return result.output;
  throw badInput(`${path}: ${faultsOf(result.issues, 3)}`);
}

type JsonObject = Readonly<Record<string, unknown>>;

/** `bos_token` and its like, a text or an object that holds one. */
function specialTexts(files: readonly (JsonObject | undefined)[]): Map<SpecialToken, string> {
  const texts = new Map<SpecialToken, string>();
  for (const file of files) {
    for (const name of ROLES) {
      const token = v.safeParse(tokenText, file?.[`${name}_token`]);
      if (!token.success || texts.has(name)) continue;
      texts.set(name, typeof token.output === "string" ? token.output : token.output.content);
    }
  }
  return texts;
}

/** `bos_token_id` and its like; of a list the first. */
function specialIds(files: readonly (JsonObject | undefined)[]): Map<SpecialToken, number> {
  const ids = new Map<SpecialToken, number>();
  for (const file of files) {
    for (const name of ROLES) {
      const value = file?.[`${name}_token_id`];
      const token = v.safeParse(id, Array.isArray(value) ? value[0] : value);
      if (token.success && !ids.has(name)) ids.set(name, token.output);
    }
  }
  return ids;
}

/** tokenizer_config.json knows more than added_tokens.json, so its word is the last. */
function mergeAdded(
  plain: Readonly<Record<string, number>> | undefined,
  decoder: Readonly<Record<string, { content: string; special?: boolean | undefined }>> | undefined,
): AddedToken[] {
  const added = new Map<number, AddedToken>();
  for (const [content, id] of Object.entries(plain ?? {})) added.set(id, { id, content, special: false });
  for (const [key, { content, special }] of Object.entries(decoder ?? {})) {
    const id = Number(key);
    if (Number.isInteger(id) && id >= 0) added.set(id, { id, content, special: special ?? false });
  }
  return [...added.values()];
}

function chatTemplateFile(
  folder: string,
  names: readonly string[],
): v.InferOutput<typeof chatTemplate> | undefined {
  if (names.includes("chat_template.jinja")) return readText(join(folder, "chat_template.jinja"));
  if (!names.includes("chat_template.json")) return undefined;
  return checked(join(folder, "chat_template.json"), v.looseObject({ chat_template: chatTemplate }))
    .chat_template;
}

function readText(path: string): string {
  return decodeUtf8(readSmallFile(path, MAX_BYTES));
}

/** Beside chat_template.jinja: a file for each template that has a name. */
const ADDITIONAL = "additional_chat_templates";

function additionalTemplates(folder: string): v.InferOutput<typeof namedTemplate>[] {
  const files = (listFolder(folder) ?? []).filter((name) => name.endsWith(".jinja")).sort();
  return files.map((name) => ({ name: basename(name, ".jinja"), template: readText(join(folder, name)) }));
}

/** As in llama.cpp, a name keeps only letters and digits. */
function namedTemplates(
  template: v.InferOutput<typeof chatTemplate> | undefined,
  additional: readonly v.InferOutput<typeof namedTemplate>[],
): Map<string, string> {
  const own = typeof template === "string" ? [{ name: DEFAULT_TEMPLATE, template }] : (template ?? []);
  return new Map(
    [...own, ...additional].map(({ name, template }) => [name.replace(/[^A-Za-z0-9]/g, "_"), template]),
  );
}
