import { LlqError } from "../../formats/errors.js";
import type { AddedToken, TokenizerConfig } from "./hf-config.js";
import {
  addedByPostProcessor,
  bpeMerges,
  bpeTokens,
  parseTokenizerJson,
  type Stage,
  stages,
  type TokenizerJson,
  unsupportedStage,
} from "./hf-pipeline.js";
import { resolveSpecial } from "./special.js";
import { ADDED_SCORE, TokenTable } from "./token-table.js";
import { byteOfTokenText, DEFAULTS, SPACE, TOKEN_TYPE, type Vocab } from "./types.js";

/**
 * The vocabulary of a tokenizer.json and the files beside it, for a model of `rows` embedding rows; `name` is
 * the file, for messages.
 * @throws LlqError `bad-input` for a damaged file or more tokens than rows, `unsupported` for a pipeline that
 * GGUF has no words for
 */
export function vocabFromTokenizerJson(
  name: string,
  value: unknown,
  config: TokenizerConfig,
  rows?: number,
): Vocab {
  const json = parseTokenizerJson(name, value);
  if (json.model.type === "BPE" && !isByteLevel(json)) return spmVocab(name, json, config, rows);
  const kind = json.model.type === "BPE" ? "byte-level BPE" : `type ${json.model.type}`;
  throw new LlqError("unsupported", `${name}: models of ${kind} are not supported yet`);
}

function isByteLevel(json: TokenizerJson): boolean {
  return [...stages(json.pre_tokenizer), ...stages(json.decoder)].some(({ type }) => type === "ByteLevel");
}

/**
 * A BPE model over words with `▁`, as transformers makes of a SentencePiece model. Its list of merges becomes
 * scores: a token's is minus the place of the first merge that makes it, so that the order of joining is kept.
 */
function spmVocab(
  name: string,
  json: TokenizerJson,
  config: TokenizerConfig,
  rows: number | undefined,
): Vocab {
  const tokens = bpeTokens(name, json);
  const merges = bpeMerges(name, json);
  const scores = new Map<string, number>();
  for (const [i, [left, right]] of merges.entries()) {
    if (!scores.has(left + right)) scores.set(left + right, -1 - i);
  }
  const table = new TokenTable(name, rowsNeeded(tokens.keys()), rows);
  for (const [id, text] of tokens) {
    const isByte = byteOfTokenText(text) !== undefined;
    const unmade = isByte ? 0 : -1 - merges.length; // single characters come after all merges
    table.set(id, text, isByte ? TOKEN_TYPE.BYTE : TOKEN_TYPE.NORMAL, scores.get(text) ?? unmade);
  }
  const added = addedTokens(json, config);
  for (const token of added) {
    if (token.content === json.model.unk_token) {
      table.set(token.id, token.content, TOKEN_TYPE.UNKNOWN, ADDED_SCORE);
    } else table.setAdded(token);
  }
  const ids = new Map([...tokens].map(([id, text]) => [text, id]));
  for (const { id, content } of added) ids.set(content, id);
  const { addBos, addEos } = addedByPostProcessor(json, config.texts);
  const unk = json.model.unk_token == null ? undefined : ids.get(json.model.unk_token);
  return {
    kind: "spm",
    tokens: table.tokens,
    types: table.types,
    scores: table.scores,
    pre: "default",
    special: resolveSpecial(config, (text) => ids.get(text), unk === undefined ? {} : { unk }),
    addBos: addBos ?? config.addBos ?? DEFAULTS.spm.addBos,
    addEos: addEos ?? config.addEos ?? DEFAULTS.spm.addEos,
    addSpacePrefix: addsSpacePrefix(name, json, tokens.values()),
    removeExtraWhitespaces: false,
    chatTemplates: config.chatTemplates,
  };
}

/** tokenizer.json's added tokens, and those that only the files beside it know. */
function addedTokens(json: TokenizerJson, config: TokenizerConfig): AddedToken[] {
  const own: AddedToken[] = json.added_tokens ?? [];
  const known = new Set(own.map(({ id }) => id));
  return [...own, ...config.added.filter(({ id }) => !known.has(id))];
}

function rowsNeeded(ids: Iterable<number>): number {
  let largest = -1;
  for (const id of ids) largest = Math.max(largest, id);
  return largest + 1;
}

/**
 * Whether a space is put in front of a text, from the stages that turn spaces into `▁`.
 * @throws LlqError `unsupported` for stages that do something else as well
 */
function addsSpacePrefix(name: string, json: TokenizerJson, tokens: Iterable<string>): boolean {
  let prefix = false;
  for (const stage of stages(json.normalizer)) {
    if (stage.type === "Prepend" && stage["prepend"] === SPACE) prefix = true;
    else if (!replacesSpaces(stage)) throw unsupportedStage(name, "normalizer", stage);
  }
  for (const stage of stages(json.pre_tokenizer)) {
    if (isMetaspace(stage)) {
      prefix = stage["prepend_scheme"] !== "never" && stage["add_prefix_space"] !== false;
      if (stage["split"] !== false && someSpansWords(tokens)) {
        throw unsupportedStage(name, "pre-tokenizer", stage);
      }
    } else if (!splitsAtSpaces(stage)) throw unsupportedStage(name, "pre-tokenizer", stage);
  }
  return prefix;
}

function replacesSpaces({ type, ...stage }: Stage): boolean {
  return type === "Replace" && patternText(stage) === " " && stage["content"] === SPACE;
}

function isMetaspace(stage: Stage): boolean {
  return stage.type === "Metaspace" && stage["replacement"] === SPACE;
}

/** A split at spaces after they have become `▁` finds none. */
function splitsAtSpaces({ type, ...stage }: Stage): boolean {
  return type === "Split" && patternText(stage) === " ";
}

function patternText({ pattern }: Readonly<Record<string, unknown>>): unknown {
  return typeof pattern === "object" && pattern !== null && "String" in pattern ? pattern.String : undefined;
}

function someSpansWords(tokens: Iterable<string>): boolean {
  for (const token of tokens) if (token.includes(SPACE, 1)) return true;
  return false;
}
