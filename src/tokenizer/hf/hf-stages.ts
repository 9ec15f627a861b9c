// What the stages of a tokenizer.json come to, in the terms of a Vocab.

import { decodeBase64 } from "#host/bytes";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { DIGIT, DIGIT_RUNS, GPT2, PUNCTUATION, type SplitRequest } from "../bpe/pretokenize.js";
import { type FolderRules, SPACE } from "../types.js";
import type { TokenizerConfig } from "./hf-config.js";
import { type Stage, stages, type TokenizerJson } from "./hf-pipeline.js";

/** Whether some stage spells bytes as characters: the mark of byte-level BPE. */
export function isByteLevel(json: TokenizerJson): boolean {
  return [...stages(json.pre_tokenizer), ...stages(json.decoder)].some(({ type }) => type === "ByteLevel");
}

/**
 * How a byte-level pipeline splits.
 * @throws LlqError `unsupported` for stages that do something else
 */
export function splitRequest(name: string, json: TokenizerJson): SplitRequest {
  const normalizers = stages(json.normalizer);
  const foreign = normalizers.find(({ type }) => type !== "NFC");
  if (foreign !== undefined) refuse(name, "normalizer", foreign);
  const split = stages(json.pre_tokenizer).flatMap(
    (stage) => splitExpressions(stage) ?? refuse(name, "pre-tokenizer", stage),
  );
  return { split, ignoreMerges: json.model.ignore_merges ?? false, nfc: normalizers.length > 0 };
}

/** The expressions that a stage splits by, if that is all it does. */
function splitExpressions(stage: Stage): string[] | undefined {
  switch (stage.type) {
    case "ByteLevel":
      if (stage["add_prefix_space"] === true) return undefined;
      return stage["use_regex"] === false ? [] : [GPT2];
    case "Digits":
      return [stage["individual_digits"] === true ? DIGIT : DIGIT_RUNS];
    case "Punctuation":
      if (stage["behavior"] === "Contiguous") return [`${PUNCTUATION}+`];
      return stage["behavior"] === "Isolated" ? [PUNCTUATION] : undefined;
    case "Split": {
      const regex = pattern(stage, "Regex");
      return regex !== undefined && keepsEverything(stage) ? [regex] : undefined;
    }
    default:
      return undefined;
  }
}

/** Matches become pieces and nothing is lost; GPT-4's expressions match everywhere, so theirs may be inverted. */
function keepsEverything(stage: Stage): boolean {
  const { behavior, invert } = stage as Stage & { behavior?: unknown; invert?: unknown };
  return (behavior === "Isolated" && invert !== true) || (behavior === "Removed" && invert === true);
}

/** What a pipeline over `▁` words does to the spaces of a text. */
export interface SpaceRules {
  readonly addSpacePrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly precompiledCharsmap: Uint8Array | undefined;
}

/**
 * Where the pipeline puts the space in front, and where spaces become `▁`; see FolderRules. For Llama's class,
 * transformers 5 puts stages of its own in the place of the file's.
 */
export function spacePlaces(
  json: TokenizerJson,
  { tokenizerClass, legacy }: Pick<TokenizerConfig, "tokenizerClass" | "legacy">,
): Pick<FolderRules, "prefix" | "escapes"> {
  if (/^LlamaTokenizer(Fast)?$/.test(tokenizerClass ?? "")) {
    return { prefix: legacy === true ? "pre-tokenizer" : "start", escapes: false };
  }
  const metaspace = stages(json.pre_tokenizer).find(({ type }) => type === "Metaspace");
  const normalizers = stages(json.normalizer);
  const prepends = normalizers.some(({ type }) => type === "Prepend");
  const own = metaspace?.["prepend_scheme"] === "first" ? "start" : "pre-tokenizer";
  return {
    prefix: metaspace === undefined && prepends ? "normalizer" : own,
    escapes: normalizers.some(escapesSpaces),
  };
}

/** @throws LlqError `unsupported` for stages that do something else, or cut where a token does not */
export function spaceRules(name: string, json: TokenizerJson, tokens: Iterable<string>): SpaceRules {
  let addSpacePrefix = false;
  let removeExtraWhitespaces = false;
  let precompiledCharsmap: Uint8Array | undefined;
  for (const stage of stages(json.normalizer)) {
    const charsmap = stage["precompiled_charsmap"];
    if (stage.type === "Prepend" && stage["prepend"] === SPACE) addSpacePrefix = true;
    else if (stage.type === "Precompiled" && typeof charsmap === "string") {
      precompiledCharsmap = new Uint8Array(decodeBase64(charsmap));
    } else if (stage.type === "Strip" || collapsesSpaces(stage)) removeExtraWhitespaces = true;
    else if (!escapesSpaces(stage)) refuse(name, "normalizer", stage);
  }
  for (const stage of stages(json.pre_tokenizer)) {
    if (stage.type === "Metaspace" && stage["replacement"] === SPACE) {
      addSpacePrefix = stage["prepend_scheme"] !== "never" && stage["add_prefix_space"] !== false;
      if (stage["split"] !== false && someSpansWords(tokens)) refuse(name, "pre-tokenizer", stage);
    } else if (!splitsAtSpaces(stage)) refuse(name, "pre-tokenizer", stage);
  }
  return { addSpacePrefix, removeExtraWhitespaces, precompiledCharsmap };
}

function escapesSpaces(stage: Stage): boolean {
  return stage.type === "Replace" && pattern(stage, "String") === " " && stage["content"] === SPACE;
}

function collapsesSpaces(stage: Stage): boolean {
  const single = stage["content"] === " " || stage["content"] === SPACE;
  return stage.type === "Replace" && pattern(stage, "Regex") === " {2,}" && single;
}

/** When all spaces have become `▁` this does nothing. */
function splitsAtSpaces(stage: Stage): boolean {
  return stage.type === "Split" && pattern(stage, "String") === " ";
}

function pattern(stage: Stage, kind: "String" | "Regex"): string | undefined {
  const value = (stage["pattern"] as Readonly<Record<string, unknown>> | undefined)?.[kind];
  return typeof value === "string" ? value : undefined;
}

function someSpansWords(tokens: Iterable<string>): boolean {
  for (const token of tokens) {
    if (token.replace(/^▁+/, "").includes(SPACE)) return true;
  }
  return false;
}

function refuse(name: string, part: string, { type, ...settings }: Stage): never {
  const shown = JSON.stringify(settings).slice(0, 400);
  throw new LlqError("unsupported", t`${name}: ${part} ${type} ${shown} is not supported`);
}
