// What a tokenizer.json does with texts, beside its tokens.

import { NO_TOKEN } from "../bpe/token-index.js";
import type { FolderRules } from "../types.js";
import type { ScannedBpe } from "./bpe-scan.js";
import type { AddedToken, TokenizerConfig } from "./hf-config.js";
import type { TokenizerJson } from "./hf-pipeline.js";
import { isByteLevel, spacePlaces, splitRequest } from "./hf-stages.js";

/** How a tokenizer.json treats texts. Control tokens are not looked for: in a text to be measured they are spelled out. */
export function folderRules(
  name: string,
  json: TokenizerJson,
  config: TokenizerConfig,
  rows: number,
  trained = trainedIds({ json }),
): FolderRules {
  const added = addedTokens(json, config);
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
export function trainedIds({
  json,
  scanned,
}: {
  readonly json: TokenizerJson;
  readonly scanned?: ScannedBpe;
}): (text: string) => number | undefined {
  const { vocab } = json.model;
  if (scanned !== undefined) {
    return (text) => {
      const id = scanned.index.get(text);
      return id === NO_TOKEN ? undefined : id;
    };
  }
  if (!Array.isArray(vocab)) {
    const ids = (vocab ?? {}) as Readonly<Record<string, number>>;
    return (text) => (Object.hasOwn(ids, text) ? ids[text] : undefined);
  }
  const ids = new Map<unknown, number>(vocab.map((pair, id) => [Array.isArray(pair) ? pair[0] : pair, id]));
  return (text) => ids.get(text);
}

/** tokenizer.json's added tokens, and those that only the files beside it know. */
export function addedTokens(json: TokenizerJson, config: TokenizerConfig): AddedToken[] {
  const own: AddedToken[] = json.added_tokens ?? [];
  const known = new Set(own.map(({ id }) => id));
  return [...own, ...config.added.filter(({ id }) => !known.has(id))];
}
