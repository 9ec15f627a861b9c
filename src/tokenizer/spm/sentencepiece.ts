import { LlqError } from "../../../formats/errors.js";
import type { SentencePieceModel } from "../../../formats/sentencepiece/sentencepiece.js";
import { t } from "../../language/t.js";
import type { TokenizerConfig } from "../hf/hf-config.js";
import type { TokenizerJson } from "../hf/hf-pipeline.js";
import { folderRules } from "../hf/hf-rules.js";
import { isByteLevel } from "../hf/hf-stages.js";
import { resolveSpecial } from "../special.js";
import { TokenTable } from "../token-table.js";
import { DEFAULTS, type SpecialTokens, TOKEN_TYPE, type Vocab } from "../types.js";

/**
 * The vocabulary of a SentencePiece model and the files beside it, for a model of `rows` embedding rows; `name`
 * is the model's file.
 *
 * Types are those llama.cpp's converter writes. User-defined pieces of a BPE model become normal ones: as
 * USER_DEFINED, llama.cpp would put a space after each, so that Baichuan's newline changed the word behind it.
 * @param json the tokenizer.json beside it, if there is one: its added tokens, and how it treats texts
 * @throws LlqError `unsupported` for models of whole words or characters, `bad-input` for more pieces than rows
 */
export function vocabFromSentencePiece(
  name: string,
  model: SentencePieceModel,
  config: TokenizerConfig,
  rows?: number,
  json?: TokenizerJson,
): Vocab {
  if (model.modelType !== "bpe" && model.modelType !== "unigram") {
    const message = t`${name}: SentencePiece models of type ${model.modelType} are not supported`;
    throw new LlqError("unsupported", message);
  }
  const kind = model.modelType === "bpe" ? "spm" : "unigram";
  const { NORMAL, USER_DEFINED, UNUSED } = TOKEN_TYPE;
  const table = new TokenTable(name, model.pieces.length, rows);
  for (const [id, { text, type, score }] of model.pieces.entries()) {
    if (text === "\0" && model.byteFallback)
      table.set(id, text, UNUSED, score); // the byte token is meant, not this
    else table.set(id, text, kind === "spm" && type === USER_DEFINED ? NORMAL : type, score);
  }
  for (const token of config.added) table.setAdded(token);
  for (const token of json?.added_tokens ?? []) {
    if (token.id >= model.pieces.length) table.setAdded(token); // transformers 5 writes no other file of them
  }
  return {
    kind,
    tokens: table.tokens,
    types: table.types,
    scores: table.scores,
    pre: "default",
    special: resolveSpecial(config, table.tokens, ownSpecial(model)),
    addBos: config.addBos ?? DEFAULTS[kind].addBos,
    addEos: config.addEos ?? DEFAULTS[kind].addEos,
    addSpacePrefix: config.addSpacePrefix ?? model.addDummyPrefix,
    removeExtraWhitespaces: model.removeExtraWhitespaces,
    precompiledCharsmap: model.precompiledCharsmap.length > 0 ? model.precompiledCharsmap : undefined,
    chatTemplates: config.chatTemplates,
    rules:
      json && isSameModel(model, json) ? folderRules(name, json, config, table.tokens.length) : undefined,
  };
}

/** Whether a tokenizer.json is of that model: of words with `▁`, and of as many pieces. */
function isSameModel({ pieces }: SentencePieceModel, json: TokenizerJson): boolean {
  const { vocab } = json.model;
  const count = Array.isArray(vocab) ? vocab.length : Object.keys(vocab ?? {}).length;
  return !isByteLevel(json) && Math.abs(count - pieces.length) <= (json.added_tokens?.length ?? 0);
}

function ownSpecial({ pieces, bosId, eosId, unkId, padId }: SentencePieceModel): SpecialTokens {
  const all = { bos: bosId, eos: eosId, unk: unkId, pad: padId };
  return Object.fromEntries(Object.entries(all).filter(([, id]) => id >= 0 && id < pieces.length));
}
