import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { byteCharacter } from "../bpe/byte-alphabet.js";
import { recognizePreTokenizer } from "../bpe/pretokenize.js";
import { resolveSpecial } from "../special.js";
import { ADDED_SCORE, TokenTable } from "../token-table.js";
import {
  byteOfTokenText,
  DEFAULTS,
  type FolderRules,
  TOKEN_TYPE,
  type Vocab,
  type VocabKind,
} from "../types.js";
import type { AddedToken, TokenizerConfig } from "./hf-config.js";
import {
  addedByPostProcessor,
  bpeMerges,
  bpeMergeTexts,
  bpeTokens,
  parseTokenizerJson,
  type TokenizerJson,
  unigramTokens,
} from "./hf-pipeline.js";
import { isByteLevel, spacePlaces, spaceRules, splitRequest } from "./hf-stages.js";

/** A tokenizer.json and what surrounds it. */
interface Source {
  /** The file, for messages. */
  readonly name: string;
  readonly json: TokenizerJson;
  readonly config: TokenizerConfig;
  /** Embedding rows of the model, where known. */
  readonly rows: number | undefined;
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

function bpeVocab(source: Source): Vocab {
  const { name, json } = source;
  const pre = recognizePreTokenizer(name, splitRequest(name, json));
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
  const all = Math.max(trained, rowsNeeded(addedTokens(source.json, source.config).map(({ id }) => id)));
  return new TokenTable(source.name, trained, source.rows ?? all);
}

function trainedType(text: string): number {
  return byteOfTokenText(text) === undefined ? TOKEN_TYPE.NORMAL : TOKEN_TYPE.BYTE;
}

/** Enters the added tokens into the table, and says what is known of a vocabulary of any kind. */
function finish(kind: VocabKind, source: Source, table: TokenTable, unknown: string | undefined): Vocab {
  const { name, json, config } = source;
  if (kind !== "pieceBpe") for (const token of addedTokens(json, config)) table.setAdded(token);
  const unk = unknown === undefined ? -1 : table.tokens.indexOf(unknown);
  if (unk >= 0) table.set(unk, table.tokens[unk]!, TOKEN_TYPE.UNKNOWN, table.scores[unk]!);
  const { addBos, addEos } = addedByPostProcessor(json, config.texts);
  const special = resolveSpecial(config, table.tokens, unk >= 0 ? { unk } : {});
  return {
    kind,
    tokens: table.tokens,
    types: table.types,
    scores: table.scores,
    pre: "default",
    special,
    addBos: special.bos !== undefined && (addBos ?? config.addBos ?? DEFAULTS[kind].addBos),
    addEos: addEos ?? config.addEos ?? DEFAULTS[kind].addEos,
    addSpacePrefix: false,
    removeExtraWhitespaces: false,
    chatTemplates: config.chatTemplates,
    rules: folderRules(name, json, config, table.tokens.length),
  };
}

/** How a tokenizer.json treats texts. Control tokens are not looked for: in a text to be measured they are spelled out. */
export function folderRules(
  name: string,
  json: TokenizerJson,
  config: TokenizerConfig,
  rows: number,
): FolderRules {
  const added = addedTokens(json, config);
  const trained = trainedIds(json);
  const own = new Map((json.added_tokens ?? []).map((token) => [token.id, token]));
  const matched = added.flatMap(({ id, content, special }) => {
    const token = own.get(id);
    if (special || id >= rows) return [];
    return {
      id: trained(content) ?? id, // as in tokenizers: what the model has keeps its id
      content,
      normalized: token?.normalized ?? true,
      singleWord: token?.single_word ?? false,
      takesLeft: token?.lstrip ?? false,
      takesRight: token?.rstrip ?? false,
    };
  });
  const { ignoreMerges, nfc } = isByteLevel(json)
    ? splitRequest(name, json)
    : { ignoreMerges: false, nfc: false };
  const unmade = added.filter(({ id, content }) => trained(content) !== id).map(({ id }) => id);
  return {
    matched,
    unmade,
    ...spacePlaces(json, config),
    fuseUnknown: json.model.fuse_unk ?? false,
    ignoreMerges,
    nfc,
  };
}

/** The id of a text among the model's own tokens. */
function trainedIds({ model: { vocab } }: TokenizerJson): (text: string) => number | undefined {
  if (!Array.isArray(vocab)) {
    const ids = (vocab ?? {}) as Readonly<Record<string, number>>;
    return (text) => (Object.hasOwn(ids, text) ? ids[text] : undefined);
  }
  const ids = new Map<unknown, number>(vocab.map((pair, id) => [Array.isArray(pair) ? pair[0] : pair, id]));
  return (text) => ids.get(text);
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
