import {
  type Metadata,
  type MetaField,
  type MetaType,
  type MetaValue,
  nameProblem,
} from "../../formats/container.js";
import { LlqError, nearest } from "../../formats/errors.js";
import { ALIGNMENT_KEY } from "../../formats/gguf/gguf.js";
import { META_TYPES } from "../../formats/gguf/metadata.js";
import { t } from "../language/t.js";
import { SPECIAL_KEYS } from "../tokenizer/vocab.js";
import type { KeyValue } from "./metadata.js";

const FORM = () =>
  t`key=value keeps the key's type; key=type:value sets one, such as u32, f32, bool, string, u32[] or int`;

const INTEGERS: readonly MetaType[] = ["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64"];
const INTEGER_LIST = /^\s*\[\s*(?:-?\d+\s*(?:,\s*-?\d+\s*)*)?\]\s*$/;
/** What llama-quantize calls them. */
const LLAMA_TYPES: ReadonlyMap<string, MetaType> = new Map([
  ["int", "u32"],
  ["float", "f32"],
  ["str", "string"],
]);

/**
 * Reads `key=value` or `key=type:value`. Without a type a key keeps the one it has; items of an array are a JSON list.
 * @throws LlqError `usage` for a value that is none of the type, or a key without a type
 */
export function parseSet(text: string, metadata: Metadata): KeyValue {
  const [, key, rest] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || rest === undefined) throw wrong(text, t`not of the form key=value`);
  checkKey(text, key);
  const [, name = "", list = "", value = ""] = /^(\w+)(\[\])?:(.*)$/s.exec(rest) ?? [];
  const type = META_TYPES.find((each) => each === name) ?? LLAMA_TYPES.get(name + list);
  if (type !== undefined && type !== "array") return [key, fieldOf(text, type, list !== "", value)];
  const present = metadata.get(key);
  if (present !== undefined) {
    const isArray = present.type === "array";
    const one = isArray ? present.item! : present.type;
    if (one === "array") throw wrong(text, t`arrays of arrays cannot be set`);
    return [key, fieldOf(text, one, isArray, rest)];
  }
  const near = nearest(key, metadata.keys());
  throw wrong(
    text,
    t`there is no key ${key} yet, so its value needs a type`,
    near === undefined
      ? `${key}=string:${rest}`
      : t`did you mean ${near}? A new key is ${key}=string:${rest}`,
  );
}

function checkKey(text: string, key: string): void {
  const problem = nameProblem(key);
  if (problem !== undefined) throw wrong(text, t`the key ${problem}`);
  if (key === ALIGNMENT_KEY) throw wrong(text, t`the alignment cannot be chosen`);
  if (key.startsWith("split."))
    throw wrong(text, t`which part a file is cannot be chosen`, t`llq split cuts a file`);
}

function fieldOf(text: string, type: MetaType, isArray: boolean, value: string): MetaField {
  if (!isArray) return { type, value: readValue(text, type, value) };
  // As digits: a JSON number beyond 2^53 is another.
  if (INTEGERS.includes(type) && INTEGER_LIST.test(value)) {
    const digits = value.match(/-?\d+/g) ?? [];
    return { type: "array", item: type, value: digits.map((each) => readValue(text, type, each)) };
  }
  let items: unknown;
  try {
    items = JSON.parse(value);
  } catch {}
  if (!Array.isArray(items)) throw wrong(text, t`an array is a JSON list, such as [1, 2]`);
  const plain = items.map((item) => (type !== "string" && typeof item === "string" ? undefined : item));
  return {
    type: "array",
    item: type,
    value: plain.map((item) => {
      if (typeof item === "object" || item === undefined) throw wrong(text, t`items must be of type ${type}`);
      if (type === "string" && typeof item !== "string") throw wrong(text, t`items must be strings`);
      return readValue(text, type, String(item));
    }),
  };
}

/** @throws LlqError `usage` when it is none; whether it is in range the writer says */
function readValue(text: string, type: MetaType, value: string): MetaValue {
  if (type === "string") return value;
  if (type === "bool" && (value === "true" || value === "false")) return value === "true";
  const signed = type[0] === "i";
  if (INTEGERS.includes(type) && (signed ? /^-?\d+$/ : /^\d+$/).test(value)) {
    const number = BigInt(value);
    const bits = Number(type.slice(1));
    if (number !== (signed ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number))) {
      throw wrong(text, t`${value} does not fit into ${type}`);
    }
    return bits === 64 ? number : Number(number);
  }
  if ((type === "f32" || type === "f64") && value.trim() !== "" && Number.isFinite(Number(value))) {
    const number = type === "f32" ? Math.fround(Number(value)) : Number(value);
    if (!Number.isFinite(number)) throw wrong(text, t`${value} does not fit into ${type}`);
    return number;
  }
  throw wrong(text, t`${value} is no value of type ${type}`);
}

function wrong(text: string, why: string, hint = FORM()): LlqError {
  const shown = text.length > 100 ? `${text.slice(0, 97)}...` : text;
  return new LlqError("usage", t`--set ${shown}: ${why}`, { hint });
}

/** What `--special-token` may name: by these names or the key's own. `gmask` is llq's own. */
const SPECIAL: ReadonlyMap<string, string> = new Map(
  Object.entries(SPECIAL_KEYS).flatMap(([name, key]) =>
    name === "gmask" ? [] : [[name.replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`), key]],
  ),
);

/**
 * Reads `bos=<s>` or `bos=1`: digits are an id, anything else is a token of the vocabulary; of several of one text the
 * first.
 * @throws LlqError `usage` for another name, or a token that the vocabulary does not have
 */
export function parseSpecialToken(text: string, metadata: Metadata): KeyValue {
  const [, name, token] = /^([^=]*)=(.+)$/s.exec(text) ?? [];
  const hint = t`bos=<s>, or an id; names: ${[...SPECIAL.keys()].join(", ")}`;
  const fail = (why: string) => new LlqError("usage", t`--special-token ${text}: ${why}`, { hint });
  if (name === undefined || token === undefined) throw fail(t`not of the form name=token`);
  const key = SPECIAL.get(name) ?? [...SPECIAL.values()].find((own) => own === `${name}_token_id`);
  if (key === undefined) throw fail(t`unknown special token ${name}`);
  const tokens = metadata.get("tokenizer.ggml.tokens")?.value;
  if (!Array.isArray(tokens)) throw fail(t`the file has no vocabulary`);
  const id = /^\d+$/.test(token) ? Number(token) : tokens.indexOf(token);
  if (id < 0) throw fail(t`${token} is not in the vocabulary`);
  if (id >= tokens.length)
    throw fail(t`the vocabulary has ${tokens.length} tokens, the last is ${tokens.length - 1}`);
  return [`tokenizer.ggml.${key}`, { type: "u32", value: id }];
}

export interface MetaEdits {
  readonly remove?: readonly string[] | undefined;
  readonly set?: readonly KeyValue[] | undefined;
}

/** The metadata with what is wanted of it: what stays keeps its place, what is new comes last. @throws LlqError `usage` */
export function editMetadata(metadata: Metadata, { remove = [], set = [] }: MetaEdits): Metadata {
  const result = new Map(metadata);
  for (const key of remove) {
    if (result.delete(key)) continue;
    const near = nearest(key, metadata.keys());
    throw new LlqError("usage", t`--remove ${key}: there is no such key`, {
      hint: near === undefined ? undefined : t`did you mean ${near}?`,
    });
  }
  for (const [key, field] of set) result.set(key, field);
  return result;
}
