import { decodeLatin1, decodeUtf8 } from "#host/bytes";
import { dirname, existsSync, join } from "#host/files";
import { listFolder, readSmallFile, withFile } from "../../formats/bytes.js";
import { badInput } from "../../formats/errors.js";
import { refuseImpostor } from "../../formats/impostors.js";
import { parseJson } from "../../formats/json.js";
import { readSentencePiece } from "../../formats/sentencepiece/sentencepiece.js";
import { t } from "../language/t.js";
import { vocabFromTekken } from "./bpe/tekken.js";
import { vocabFromTiktoken } from "./bpe/tiktoken.js";
import { vocabFromGpt2Files } from "./hf/gpt2-files.js";
import { NO_CONFIG, readTokenizerConfig, type TokenizerConfig } from "./hf/hf-config.js";
import { vocabFromTokenizerFile } from "./hf/hf-file.js";
import {
  MAX_VOCAB_BYTES,
  MAX_VOCAB_VALUES,
  parseTokenizerJson,
  type TokenizerJson,
} from "./hf/hf-pipeline.js";
import { vocabFromIceText } from "./spm/ice-text.js";
import { vocabFromLlama2c } from "./spm/llama2c.js";
import { vocabFromSentencePiece } from "./spm/sentencepiece.js";
import type { Vocab } from "./types.js";

/**
 * The vocabulary of a model's folder. A SentencePiece tokenizer.model comes first, as in llama.cpp's converter;
 * then tokenizer.json, Mistral's tekken.json, a tiktoken rank file, and GPT-2's pair of files.
 * @param vocabSize rows of the model's embedding; undefined when the folder does not say
 * @param ofPieces what a tokenizer.json of pieces becomes; SentencePiece by scores if undefined
 * @throws LlqError `bad-input` when there is no tokenizer or it does not belong to the model, `unsupported`
 * for one that GGUF has no words for
 */
export function readVocab(
  folder: string,
  {
    vocabSize,
    ofPieces,
  }: { readonly vocabSize?: number | undefined; readonly ofPieces?: "pieceBpe" | undefined },
): Vocab {
  const names = (listFolder(folder) ?? []).sort().reverse(); // of several versions, the last, as in mistral-common
  const config = readTokenizerConfig(folder);
  const byMerges = ofPieces !== undefined && names.includes("tokenizer.json");
  const kinds = byMerges ? KINDS.filter(({ find }) => find("tokenizer.json", folder)) : KINDS;
  for (const { find, read } of kinds) {
    const name = names.find((each) => find(each, folder));
    if (name === undefined) continue;
    const vocab = read(join(folder, name), config, vocabSize, ofPieces);
    // not copied: what of it is made when it is asked for would be made
    return config.remarks.length > 0 ? Object.assign(vocab, { remarks: config.remarks }) : vocab;
  }
  const wanted = t`tokenizer.model, ice_text.model, tokenizer.json, tekken.json, tokenizer.model.v*, *.tiktoken, vocab.json and merges.txt`;
  throw badInput(t`${folder}: no tokenizer here; looked for ${wanted}`);
}

/**
 * The vocabulary of a llama2.c model: a file beside it, SentencePiece first since it has a normaliser.
 * @param rows of the model's embedding
 * @throws LlqError `bad-input` when there is none or it is of another model
 */
export function readLlama2cVocab(model: string, rows: number): Vocab {
  const folder = dirname(model);
  const stems = ["tokenizer", `tok${rows}`];
  const wanted = [...stems.map((stem) => `${stem}.model`), ...stems.map((stem) => `${stem}.bin`)];
  const names = listFolder(folder) ?? [];
  const name = wanted.find((each) => names.includes(each));
  if (name === undefined) {
    throw badInput(t`${model}: no tokenizer beside it; looked for ${wanted.join(", ")}`);
  }
  const path = join(folder, name);
  return withFile(path, (source) =>
    name.endsWith(".bin")
      ? vocabFromLlama2c(source, rows)
      : vocabFromSentencePiece(path, readSentencePiece(source), NO_CONFIG, rows),
  );
}

interface Kind {
  readonly find: (name: string, folder: string) => boolean;
  readonly read: (
    path: string,
    config: TokenizerConfig,
    rows: number | undefined,
    ofPieces: "pieceBpe" | undefined,
  ) => Vocab;
}

/** Of Mistral's versions of one tokenizer: `tokenizer.model.v3`, `.v7`, `.v7m1`. */
const VERSIONED = /^tokenizer\.model\.v\d+(m\d+)?$/;

const KINDS: readonly Kind[] = [
  {
    find: (name, folder) => name === "tokenizer.model" && !isRankFile(join(folder, name)),
    read: (path, config, rows) => {
      const model = withFile(path, readSentencePiece);
      return vocabFromSentencePiece(path, model, config, rows, tokenizerJsonBeside(path));
    },
  },
  {
    find: (name) => name === "ice_text.model",
    read: (path, config, rows) => vocabFromIceText(path, withFile(path, readSentencePiece), config, rows),
  },
  {
    find: (name) => name === "tokenizer.json",
    read: (path, config, rows, ofPieces) =>
      vocabFromTokenizerFile(path, readSmallFile(path, MAX_VOCAB_BYTES), config, rows, ofPieces),
  },
  {
    find: (name) => name === "tekken.json",
    read: (path, config, rows) => vocabFromTekken(path, readJson(path), config, rows),
  },
  {
    find: (name) => VERSIONED.test(name),
    read: (path, config, rows) =>
      vocabFromSentencePiece(path, withFile(path, readSentencePiece), config, rows),
  },
  {
    find: (name) => name === "tokenizer.model" || name.endsWith(".tiktoken"),
    read: (path, config, rows) => vocabFromTiktoken(path, readText(path), config, rows),
  },
  {
    find: (name) => name === "vocab.json",
    read: (path, config, rows) =>
      vocabFromGpt2Files(path, readJson(path), readText(join(path, "..", "merges.txt")), config, rows),
  },
];

/** What transformers takes in place of a tokenizer.model, and writes added tokens into. */
function tokenizerJsonBeside(path: string): TokenizerJson | undefined {
  const beside = join(dirname(path), "tokenizer.json");
  return existsSync(beside) ? parseTokenizerJson(beside, readJson(beside)) : undefined;
}

/** Meta's and Zhipu's tokenizer.model may be a rank file, whose first line is `IQ== 0`. */
function isRankFile(path: string): boolean {
  const start = withFile(path, (source) => source.read(0, Math.min(64, source.byteLength)));
  return /^[A-Za-z0-9+/]+={0,2} 0\r?\n/.test(decodeLatin1(start));
}

function readText(path: string): string {
  const bytes = readSmallFile(path, MAX_VOCAB_BYTES);
  refuseImpostor(path, bytes);
  return decodeUtf8(bytes);
}

function readJson(path: string): unknown {
  return parseJson(path, readSmallFile(path, MAX_VOCAB_BYTES), MAX_VOCAB_VALUES);
}
