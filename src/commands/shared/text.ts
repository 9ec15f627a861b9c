import { readFileSync } from "node:fs";
import { readSmallFile } from "../../../formats/bytes.js";
import { badInput } from "../../../formats/errors.js";
import { controlEncoder } from "../../generate/text/prompt.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { textStart } from "../../tokenizer/special.js";
import { createTokenizer } from "../../tokenizer/tokenizer.js";
import type { Tokenizer } from "../../tokenizer/types.js";
import { warn } from "../../ui.js";
import { decodeText } from "./encoding.js";

/** A text larger than this is no text to run through a model. */
const MAX_TEXT_BYTES = 256 << 20;

/** The tokens of a text file, which is read as llama.cpp's tools do: a newline at its end is no part of the text. */
export function readTokens(model: Model, path: string): Int32Array {
  const text = readPrompt(path);
  const tokens = modelTokenizer(model).encode(text);
  warnOfGguf(model, path, text, tokens);
  return tokens;
}

/** The same, where what is written like a control token is one, as with llama.cpp's `--parse-special`. */
export function readSpecialTokens(model: Model, path: string): Int32Array {
  const text = readPrompt(path);
  const { vocab } = model;
  const tokenizer = modelTokenizer(model);
  warnOfGguf(model, path, text);
  const start = vocab.addBos ? textStart(vocab.special) : [];
  return Int32Array.from([...start, ...controlEncoder(vocab, tokenizer)(text)]);
}

/** The text of such a file, or of stdin (`-`), which is read once. Says when it is not read as it stands. */
export function readPrompt(path: string): string {
  if (path !== "-") return textOf(path, readSmallFile(path, MAX_TEXT_BYTES));
  fromStdin ??= textOf("stdin", readFileSync(0));
  return fromStdin;
}

let fromStdin: string | undefined;

function textOf(name: string, bytes: Uint8Array): string {
  if (bytes.length > MAX_TEXT_BYTES) throw badInput(t`${name}: more than ${MAX_TEXT_BYTES} bytes of text`);
  const { text, remarks } = decodeText(name, bytes);
  for (const remark of remarks) warn(`${name}: ${remark}`);
  return text.replace(/\n$/, "");
}

export function modelTokenizer({ vocab }: Model): Tokenizer {
  return createTokenizer(vocab);
}

/** Of a long text so many characters tell whether it is read differently: it need not all be encoded again. */
const COMPARED = 1 << 20;

/** Says when a GGUF of the model, which has no words for all that its tokenizer does, will read the text otherwise. */
function warnOfGguf(model: Model, path: string, text: string, tokens?: Int32Array): void {
  const { vocab } = model;
  if (vocab.rules === undefined) return;
  const start = text.slice(0, COMPARED);
  const whole = start.length === text.length ? tokens : undefined;
  const own = whole ?? modelTokenizer(model).encode(start);
  const others = createTokenizer({ ...vocab, rules: undefined }).encode(start);
  const first = own.findIndex((id, i) => id !== others[i]);
  if (first < 0 && own.length === others.length) return;
  const at = first < 0 ? own.length : first;
  warn(t`${path}: the model's tokenizer and a GGUF of it read this text differently, from token ${at} on`);
}

/** Says what to expect of chunks longer than the model was trained with. */
export function warnOfContext({ path, hparams }: Model, context: number, what: string): void {
  const { contextLength } = hparams;
  if (context <= contextLength) return;
  warn(t`${path} was trained with ${contextLength} tokens of context; ${what}`);
}

/** Says when more chunks are asked for than the text has. */
export function warnOfChunks(tokens: Int32Array, context: number, asked: number | undefined): void {
  const chunks = Math.floor(tokens.length / context);
  if (asked === undefined || asked <= chunks || chunks < 2) return;
  warn(
    t`the text has ${chunks} chunks of ${context} tokens, fewer than --chunks ${asked}: take a longer text`,
  );
}

/** What takes the place of the first token of each chunk, for models whose texts begin with one. */
export function chunkBos({ vocab }: Model): number | undefined {
  return vocab.addBos ? vocab.special.bos : undefined;
}
