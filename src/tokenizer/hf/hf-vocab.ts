import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { byteCharacter } from "../bpe/byte-alphabet.js";
import { spellMergeList } from "../bpe/merge-list.js";
import { recognizePreTokenizer } from "../bpe/pretokenize.js";
import { stringsOf } from "../bpe/rank-file.js";
import { resolveSpecial } from "../special.js";
import { ADDED_SCORE, TokenTable } from "../token-table.js";
import { byteOfTokenText, DEFAULTS, TOKEN_TYPE, type Vocab, type VocabKind } from "../types.js";
import type { ScannedBpe } from "./bpe-scan.js";
import type { TokenizerConfig } from "./hf-config.js";
import {
  addedByPostProcessor,
  bpeMerges,
  bpeMergeTexts,
  bpeTokens,
  parseTokenizerJson,
  type TokenizerJson,
  unigramTokens,
} from "./hf-pipeline.js";
import { addedTokens, folderRules, trainedIds } from "./hf-rules.js";
import { isByteLevel, spaceRules, splitRequest } from "./hf-stages.js";

/** A tokenizer.json and what surrounds it. */
export interface Source {
  /** The file, for messages. */
  readonly name: string;
  readonly json: TokenizerJson;
  readonly config: TokenizerConfig;
  /** Embedding rows of the model, where known. */
  readonly rows: number | undefined;
  /** The tokens and merges of a byte-level BPE, where `json` has none. */
  readonly scanned?: ScannedBpe;
}

/**
 * The vocabulary of a tokenizer.json and the files beside it, for a model of `rows` embedding rows; `name` is
 * the file, for messages; `ofPieces` is what a BPE over words with `▁` becomes.
 * @throws LlqError `bad-input` for a damaged file or more tokens than rows, `unsupported` for a pipeline that
 * GGUF has no words for
 */
export function vocabFromTokenizerJson(
  name: string,
  value: unknown,
  config: TokenizerConfig,
  rows?: number,
  ofPieces: "spm" | "pieceBpe" = "spm",
): Vocab {
  const json = parseTokenizerJson(name, value);
  const source = { name, json, config, rows };
  for (const affix of ["continuing_subword_prefix", "end_of_word_suffix"] as const) {
    if (json.model[affix]) {
      throw new LlqError("unsupported", t`${name}: ${affix} ${json.model[affix]} is not supported`);
    }
  }
  switch (json.model.type) {
    case "BPE":
      if (isByteLevel(json)) return bpeVocab(source);
      return ofPieces === "spm" ? spmVocab(source) : pieceBpeVocab(source);
    case "Unigram":
      return unigramVocab(source);
    default:
      throw new LlqError("unsupported", t`${name}: models of type ${json.model.type} are not supported`, {
        hint: t`supported are BPE and Unigram`,
      });
  }
}

/** As vocabFromTokenizerJson, of a pipeline over bytes. */
export function bpeVocab(source: Source): Vocab {
  const { name, json, scanned } = source;
  const pre = recognizePreTokenizer(name, splitRequest(name, json));
  if (scanned !== undefined) return scannedVocab(source, scanned, pre.names[0]!);
  const tokens = bpeTokens(name, json);
  const table = emptyTable(source, rowsNeeded(tokens.keys()));
  for (const [id, text] of tokens) table.set(id, text, TOKEN_TYPE.NORMAL, 0);
  return {
    ...finish("bpe", source, table, undefined),
    scores: undefined,
    merges: bpeMergeTexts(name, json, byteCharacter(0x20)),
    pre: pre.names[0]!,
  };
}

/** What bpeVocab makes of tokens and merges in tables: their texts are made when they are first asked for. */
function scannedVocab(source: Source, { index, merges: list }: ScannedBpe, pre: string): Vocab {
  const table = TokenTable.of(source.name, index, rowsOf(source, index.count));
  const described = describe("bpe", source, table, undefined);
  const unmade = new Set(described.rules.unmade.filter((id) => id < table.length));
  const all = table.indexOfAll(unmade);
  let merges: readonly string[] | undefined;
  return {
    ...described,
    get tokens() {
      return table.tokens;
    },
    types: table.types,
    // else an added token is in the place of another, or two are alike
    listed: all?.size === table.length - unmade.size ? { index: all, merges: list } : undefined,
    get merges() {
      merges ??= spellMergeList(list, stringsOf(index));
      return merges;
    },
    pre,
  };
}

/**
 * A BPE model over words with `▁`, as transformers makes of a SentencePiece model. Its list of merges becomes
 * scores: a token's is minus the place of the first merge that makes it, so that the order of joining is kept.
 */
function spmVocab(source: Source): Vocab {
  const { name, json } = source;
  const tokens = bpeTokens(name, json);
  const merges = bpeMerges(name, json);
  const scores = new Map<string, number>();
  for (const [i, [left, right]] of merges.entries()) {
    if (!scores.has(left + right)) scores.set(left + right, -1 - i);
  }
  const table = emptyTable(source, rowsNeeded(tokens.keys()));
  for (const [id, text] of tokens) {
    const type = trainedType(text);
    const unmade = type === TOKEN_TYPE.BYTE ? 0 : -1 - merges.length; // single characters come after all merges
    table.set(id, text, type, scores.get(text) ?? unmade);
  }
  checkMerges(name, merges, new Set(tokens.values()));
  return {
    ...finish("spm", source, table, json.model.unk_token ?? undefined),
    ...spaceRules(name, json, tokens.values()),
  };
}

/** Tokens that llama.cpp's converter has shown in texts whatever the files say of them: its parser of chats wants them. */
const SHOWN: ReadonlySet<string> = new Set(
  ["channel", "tool_call", "tool_response"].flatMap((name) => [`<|${name}>`, `<${name}|>`]).concat('<|"|>'),
);

/** The same with the merges themselves, as llama.cpp's converter writes it: of scores it knows none. */
function pieceBpeVocab(source: Source): Vocab {
  const { name, json, config } = source;
  const tokens = bpeTokens(name, json);
  const merges = bpeMerges(name, json);
  checkMerges(name, merges, new Set(tokens.values()));
  const table = emptyTable(source, rowsNeeded(tokens.keys()));
  for (const [id, text] of tokens) table.set(id, text, trainedType(text), ADDED_SCORE);
  for (const { id, content, special } of addedTokens(json, config)) {
    if (special) table.set(id, content, TOKEN_TYPE.CONTROL, ADDED_SCORE);
    else if (tokens.get(id) !== content) table.set(id, content, TOKEN_TYPE.USER_DEFINED, ADDED_SCORE);
  }
  for (const [id, text] of table.tokens.entries()) {
    if (SHOWN.has(text)) table.set(id, text, TOKEN_TYPE.USER_DEFINED, ADDED_SCORE);
  }
  const vocab = finish("pieceBpe", source, table, undefined);
  return {
    ...vocab,
    ...spaceRules(name, json, tokens.values()),
    merges: merges.map(([left, right]) => `${left} ${right}`),
    addBos: vocab.special.bos !== undefined,
  };
}

/**
 * As the tokenizers library does: joined by scores, a text would come to a token whose parts are none.
 * @throws LlqError `bad-input` when what is merged, or what becomes of it, is no token
 */
function checkMerges(
  name: string,
  merges: readonly (readonly [string, string])[],
  tokens: Set<string>,
): void {
  for (const [i, [left, right]] of merges.entries()) {
    const odd = [left, right, left + right].find((text) => !tokens.has(text));
    if (odd === undefined) continue;
    throw badInput(t`${name}: merge ${i} is of ${JSON.stringify(odd)}, which is no token`);
  }
}

function unigramVocab(source: Source): Vocab {
  const { name, json } = source;
  const tokens = unigramTokens(name, json);
  const table = emptyTable(source, tokens.length);
  for (const [id, [text, score]] of tokens.entries()) table.set(id, text, trainedType(text), score);
  const unknown = json.model.unk_id == null ? undefined : tokens[json.model.unk_id]?.[0];
  return {
    ...finish("unigram", source, table, unknown),
    ...spaceRules(
      name,
      json,
      tokens.map(([text]) => text),
    ),
  };
}

/** With room for the tokens of the model and the added ones, or as many rows as the embedding has. */
function emptyTable(source: Source, trained: number): TokenTable {
  return new TokenTable(source.name, trained, rowsOf(source, trained));
}

function rowsOf({ json, config, rows }: Source, trained: number): number {
  return rows ?? Math.max(trained, rowsNeeded(addedTokens(json, config).map(({ id }) => id)));
}

function trainedType(text: string): number {
  return byteOfTokenText(text) === undefined ? TOKEN_TYPE.NORMAL : TOKEN_TYPE.BYTE;
}

/** The vocabulary of a table that has all tokens but the added ones. */
function finish(kind: VocabKind, source: Source, table: TokenTable, unknown: string | undefined): Vocab {
  const described = describe(kind, source, table, unknown);
  return { tokens: table.tokens, types: table.types, scores: table.scores, ...described };
}

/** Enters the added tokens into the table, and says what is known of a vocabulary of any kind. */
function describe(kind: VocabKind, source: Source, table: TokenTable, unknown: string | undefined) {
  const { name, json, config } = source;
  if (kind !== "pieceBpe") for (const token of addedTokens(json, config)) table.setAdded(token);
  const unk = unknown === undefined ? -1 : table.tokens.indexOf(unknown);
  if (unk >= 0) table.set(unk, table.tokens[unk]!, TOKEN_TYPE.UNKNOWN, table.scores[unk]!);
  const { addBos, addEos } = addedByPostProcessor(json, config.texts);
  const special = resolveSpecial(config, table, unk >= 0 ? { unk } : {});
  return {
    kind,
    pre: "default",
    special,
    addBos: special.bos !== undefined && (addBos ?? config.addBos ?? DEFAULTS[kind].addBos),
    addEos: addEos ?? config.addEos ?? DEFAULTS[kind].addEos,
    addSpacePrefix: false,
    removeExtraWhitespaces: false,
    chatTemplates: config.chatTemplates,
    rules: folderRules(name, json, config, table.length, trainedIds(source)),
  };
}

function rowsNeeded(ids: Iterable<number>): number {
  let largest = -1;
  for (const id of ids) largest = Math.max(largest, id);
  return largest + 1;
}
