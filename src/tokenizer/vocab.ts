import type { Metadata, MetaField, MetaType, MetaValue } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { t } from "../language/t.js";
import { findPreTokenizer } from "./bpe/pretokenize.js";
import {
  DEFAULT_TEMPLATE,
  DEFAULTS,
  SPECIAL_TOKENS,
  type SpecialToken,
  type SpecialTokens,
  TOKEN_TYPE,
  type Vocab,
  type VocabKind,
} from "./types.js";

export { readLlama2cVocab, readVocab } from "./folder.js";
export type { Vocab } from "./types.js";

/** What GGUF calls their ids, behind `tokenizer.ggml.`; `seperator` is spelled so. */
export const SPECIAL_KEYS: Readonly<Record<SpecialToken, string>> = {
  bos: "bos_token_id",
  eos: "eos_token_id",
  unk: "unknown_token_id",
  sep: "seperator_token_id",
  pad: "padding_token_id",
  cls: "cls_token_id",
  mask: "mask_token_id",
  eot: "eot_token_id",
  eom: "eom_token_id",
  fimPre: "fim_pre_token_id",
  fimSuf: "fim_suf_token_id",
  fimMid: "fim_mid_token_id",
  fimPad: "fim_pad_token_id",
  fimRep: "fim_rep_token_id",
  fimSep: "fim_sep_token_id",
  // llq's own, of ChatGLM-6B
  gmask: "gmask_token_id",
};

/** `tokenizer.ggml.model` */
const MODELS: Record<VocabKind, string> = { spm: "llama", bpe: "gpt2", unigram: "t5", pieceBpe: "gemma4" };

const PREFIX = "tokenizer.ggml.";
const CHAT_TEMPLATE = "tokenizer.chat_template";

/**
 * The metadata of a GGUF file that describes `vocab`, with llama.cpp's keys and types and in its converter's
 * order.
 */
export function vocabToMetadata(vocab: Vocab): Map<string, MetaField> {
  const fields = new Map<string, MetaField>();
  const set = (key: string, field: MetaField) => fields.set(PREFIX + key, field);
  set("model", meta.string(MODELS[vocab.kind]));
  if (vocab.kind !== "pieceBpe") set("pre", meta.string(vocab.pre));
  set(
    "tokens",
    meta.lateStrings(() => vocab.tokens),
  );
  if (vocab.scores !== undefined) set("scores", meta.f32s(vocab.scores));
  set("token_type", meta.i32s(vocab.types));
  if (vocab.ranked ?? vocab.listed ?? vocab.merges)
    set(
      "merges",
      meta.lateStrings(() => vocab.merges!),
    );
  for (const [name, id] of Object.entries(vocab.special)) {
    set(SPECIAL_KEYS[name as SpecialToken], meta.u32(id));
  }
  set("add_bos_token", meta.bool(vocab.addBos));
  if (vocab.kind !== "pieceBpe" || vocab.addEos) set("add_eos_token", meta.bool(vocab.addEos));
  if (vocab.kind !== "bpe") {
    set("add_space_prefix", meta.bool(vocab.addSpacePrefix));
    if (vocab.removeExtraWhitespaces) set("remove_extra_whitespaces", meta.bool(true));
  }
  if (vocab.precompiledCharsmap !== undefined) {
    set("precompiled_charsmap", meta.u8s(vocab.precompiledCharsmap));
  }
  const named = [...vocab.chatTemplates.keys()].filter((name) => name !== DEFAULT_TEMPLATE);
  for (const name of named) {
    fields.set(`${CHAT_TEMPLATE}.${name}`, meta.string(vocab.chatTemplates.get(name)!));
  }
  if (named.length > 0) fields.set(`${CHAT_TEMPLATE}s`, meta.strings(named));
  const unasked = vocab.chatTemplates.get(DEFAULT_TEMPLATE);
  if (unasked !== undefined) fields.set(CHAT_TEMPLATE, meta.string(unasked));
  return fields;
}

/**
 * The vocabulary in a GGUF file's metadata; `name` is the file, for messages. Missing keys mean what they mean
 * to llama.cpp, and so do special ids beyond the vocabulary: there is no such token.
 * @throws LlqError `bad-input` when keys are missing or do not fit each other, `unsupported` for kinds of
 * tokenizer this program does not have
 */
export function vocabFromMetadata(name: string, metadata: Metadata): Vocab {
  const fields = new MetadataReader(name, metadata);
  const model = fields.string("model") ?? fields.missing("model");
  const kind = kindOfModel(name, model);
  const pre = fields.string("pre") ?? "default";
  const tokens = fields.strings("tokens") ?? fields.missing("tokens");
  const scores = fields.numbers("scores", ["f32", "i32"]);
  const types = fields.numbers("token_type", ["i32", "u32"]) ?? tokens.map(() => TOKEN_TYPE.NORMAL);
  const merges = fields.strings("merges");
  const charsmap = fields.numbers("precompiled_charsmap", ["u8", "i8"]);
  for (const [key, list] of [
    ["scores", scores],
    ["token_type", types],
  ] as const) {
    if (list !== undefined && list.length !== tokens.length) {
      throw badInput(t`${name}: ${PREFIX}${key} has ${list.length} items for ${tokens.length} tokens`);
    }
  }
  const isMerged = kind === "bpe" || kind === "pieceBpe";
  if (isMerged && merges === undefined) fields.missing("merges");
  if (!isMerged && scores === undefined) fields.missing("scores");
  const absent = DEFAULTS[kind];
  return {
    kind,
    tokens,
    types,
    scores: scores && Float32Array.from(scores),
    merges,
    pre,
    special: specialTokens(fields, tokens.length, absent.special),
    // As in llama.cpp, texts of one kind begin with bos whatever the file says.
    addBos:
      kind === "pieceBpe" || (fields.bool("add_bos_token") ?? findPreTokenizer(pre)?.addBos ?? absent.addBos),
    addEos: fields.bool("add_eos_token") ?? absent.addEos,
    addSpacePrefix: fields.bool("add_space_prefix") ?? absent.addSpacePrefix,
    removeExtraWhitespaces: fields.bool("remove_extra_whitespaces") ?? false,
    precompiledCharsmap: charsmap && Uint8Array.from(charsmap),
    chatTemplates: chatTemplates(metadata),
  };
}

function kindOfModel(name: string, model: string): VocabKind {
  const kinds = Object.keys(MODELS) as VocabKind[];
  const kind = kinds.find((each) => MODELS[each] === model);
  if (kind !== undefined) return kind;
  throw new LlqError("unsupported", t`${name}: tokenizer model ${model} is not supported`, {
    hint: t`supported are ${Object.values(MODELS).join(", ")}`,
  });
}

function specialTokens(fields: MetadataReader, count: number, absent: SpecialTokens): SpecialTokens {
  const special: Partial<Record<SpecialToken, number>> = {};
  for (const name of SPECIAL_TOKENS) {
    const id = fields.integer(SPECIAL_KEYS[name]) ?? absent[name];
    if (id !== undefined && id >= 0 && id < count) special[name] = id;
  }
  return special;
}

function chatTemplates(metadata: Metadata): Map<string, string> {
  const templates = new Map<string, string>();
  for (const [key, { type, value }] of metadata) {
    if (type !== "string") continue;
    if (key === CHAT_TEMPLATE) templates.set(DEFAULT_TEMPLATE, value as string);
    else if (key.startsWith(`${CHAT_TEMPLATE}.`)) {
      templates.set(key.slice(CHAT_TEMPLATE.length + 1), value as string);
    }
  }
  return templates;
}

/** Typed access to the `tokenizer.ggml.` keys; undefined for a key that is missing. */
class MetadataReader {
  readonly #name: string;
  readonly #metadata: Metadata;

  constructor(name: string, metadata: Metadata) {
    this.#name = name;
    this.#metadata = metadata;
  }

  missing(key: string): never {
    throw badInput(t`${this.#name}: ${PREFIX}${key} is missing`, t`this GGUF file has no usable tokenizer`);
  }

  string(key: string): string | undefined {
    return this.#value(key, ["string"]) as string | undefined;
  }

  bool(key: string): boolean | undefined {
    return this.#value(key, ["bool"]) as boolean | undefined;
  }

  integer(key: string): number | undefined {
    return this.#value(key, ["u32", "i32"]) as number | undefined;
  }

  strings(key: string): readonly string[] | undefined {
    return this.#array(key, ["string"]) as readonly string[] | undefined;
  }

  numbers(key: string, items: readonly MetaType[]): readonly number[] | undefined {
    return this.#array(key, items) as readonly number[] | undefined;
  }

  #value(key: string, types: readonly MetaType[]): MetaValue | undefined {
    const field = this.#metadata.get(PREFIX + key);
    if (field !== undefined && !types.includes(field.type)) this.#wrongType(key, field.type, types);
    return field?.value;
  }

  #array(key: string, items: readonly MetaType[]): MetaValue | undefined {
    const value = this.#value(key, ["array"]);
    const item = this.#metadata.get(PREFIX + key)?.item;
    if (item !== undefined && !items.includes(item)) this.#wrongType(key, t`array of ${item}`, items);
    return value;
  }

  #wrongType(key: string, type: string, expected: readonly string[]): never {
    throw badInput(t`${this.#name}: ${PREFIX}${key} has type ${type}, expected ${expected.join(" or ")}`);
  }
}
