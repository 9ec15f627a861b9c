import { readText } from "../../../formats/bytes.js";
import type { Model } from "../../model.js";
import { createFolderTokenizer } from "../../tokenizer/hf/hf.js";
import { createTokenizer } from "../../tokenizer/tokenizer.js";
import type { Tokenizer } from "../../tokenizer/types.js";
import { warn } from "../../ui.js";

/** A text larger than this is no text to run through a model. */
const MAX_TEXT_BYTES = 256 << 20;

/** The tokens of a text file, which is read as llama.cpp's tools do: a newline at its end is no part of the text. */
export function readTokens(model: Model, path: string): Int32Array {
  return modelTokenizer(model).encode(readPrompt(path));
}

/** The text of such a file. */
export function readPrompt(path: string): string {
  return readText(path, MAX_TEXT_BYTES).replace(/\n$/, "");
}

export function modelTokenizer({ folder, vocab }: Model): Tokenizer {
  return folder === undefined ? createTokenizer(vocab) : createFolderTokenizer(folder, vocab);
}

/** Says what to expect of chunks longer than the model was trained with. */
export function warnOfContext({ path, hparams }: Model, context: number, what: string): void {
  const { contextLength } = hparams;
  if (context <= contextLength) return;
  warn(`${path} was trained with ${contextLength} tokens of context; ${what}`);
}

/** What takes the place of the first token of each chunk, for models whose texts begin with one. */
export function chunkBos({ vocab }: Model): number | undefined {
  return vocab.addBos ? vocab.special.bos : undefined;
}
