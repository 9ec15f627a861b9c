import { LlqError } from "../../../formats/errors.js";
import { parseJson } from "../../../formats/json.js";
import type { Vocab } from "../types.js";
import { scanBpe } from "./bpe-scan.js";
import type { TokenizerConfig } from "./hf-config.js";
import { MAX_VOCAB_VALUES, parseTokenizerJson } from "./hf-pipeline.js";
import { isByteLevel } from "./hf-stages.js";
import { bpeVocab, type Source, vocabFromTokenizerJson } from "./hf-vocab.js";

/**
 * The vocabulary of a tokenizer.json's bytes, as vocabFromTokenizerJson has it, but byte-level BPE in a third of the time.
 * @throws LlqError as vocabFromTokenizerJson, and `bad-input` for no JSON
 */
export function vocabFromTokenizerFile(
  name: string,
  bytes: Uint8Array,
  config: TokenizerConfig,
  rows?: number,
  ofPieces?: "pieceBpe",
): Vocab {
  const source = scannedSource(name, bytes, config, rows);
  if (source !== undefined) return bpeVocab(source);
  return vocabFromTokenizerJson(name, parseJson(name, bytes, MAX_VOCAB_VALUES), config, rows, ofPieces);
}

/** Undefined for what has to be read as a whole, and for what is damaged, so that all of it is looked at. */
function scannedSource(
  name: string,
  bytes: Uint8Array,
  config: TokenizerConfig,
  rows: number | undefined,
): Source | undefined {
  const scanned = scanBpe(bytes);
  if (scanned === undefined) return undefined;
  try {
    const json = parseTokenizerJson(name, parseJson(name, scanned.rest));
    const { type, continuing_subword_prefix: prefix, end_of_word_suffix: suffix } = json.model;
    return type === "BPE" && isByteLevel(json) && !prefix && !suffix
      ? { name, json, config, rows, scanned }
      : undefined;
  } catch (error) {
    if (error instanceof LlqError) return undefined;
    throw error;
  }
}
