import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { tokenSplitter } from "../../tokenizer/fragments.js";
import { IdList } from "../../tokenizer/ids.js";
import { textStart } from "../../tokenizer/special.js";
import type { Tokenizer } from "../../tokenizer/types.js";
import { TOKEN_TYPE, type Vocab } from "../../tokenizer/types.js";

export interface RenderedOptions {
  /** White space behind control tokens is dropped, as Phi-3's tokenizer has it. */
  readonly stripsBehindControl?: boolean | undefined;
}

/** Control tokens behind which Phi-3 keeps white space. */
const KEEPS_WHITE_SPACE = ["<unk>", "<s>", "<|endoftext|>"];

/**
 * An encoder of what a chat template has rendered, where what is written like a control token is one. As in llama.cpp,
 * the text begins with what the vocabulary lets a text begin with, unless the template wrote that itself; and between
 * control tokens each text is encoded for itself.
 */
export function renderedEncoder(
  vocab: Vocab,
  tokenizer: Tokenizer,
  { stripsBehindControl }: RenderedOptions = {},
) {
  const encode = controlEncoder(vocab, tokenizer, { stripsBehindControl });
  const start = textStart(vocab.special);
  return (text: string): Int32Array => {
    const ids = encode(text);
    const begun = start.every((id, i) => ids[i] === id);
    return Int32Array.from([...(vocab.addBos && !begun ? start : []), ...ids]);
  };
}

/** An encoder of text alone, with nothing before it, where what is written like a control token is one. */
export function controlEncoder(
  vocab: Vocab,
  tokenizer: Tokenizer,
  { stripsBehindControl }: RenderedOptions = {},
) {
  const split = tokenSplitter(vocab, [TOKEN_TYPE.CONTROL, TOKEN_TYPE.UNKNOWN]);
  return (text: string): Int32Array => {
    const ids = new IdList();
    let trims = false;
    for (const fragment of split(text)) {
      if (typeof fragment === "number") ids.push(fragment);
      else ids.append(tokenizer.encode(trims ? fragment.trimStart() : fragment, { addBos: false }));
      trims =
        stripsBehindControl === true &&
        typeof fragment === "number" &&
        !KEEPS_WHITE_SPACE.includes(vocab.tokens[fragment]!);
    }
    return ids.toArray();
  };
}

/**
 * The ids that a model goes on from; with nothing to go on from, those a text begins with.
 * @throws LlqError `usage` when there is no such token either, `bad-input` for ids outside the vocabulary
 */
export function checkPrompt(
  { special }: Pick<Vocab, "special">,
  ids: Int32Array,
  vocabSize: number,
): Int32Array {
  const bad = ids.find((id) => id < 0 || id >= vocabSize);
  if (bad !== undefined)
    throw new LlqError("bad-input", t`token ${bad} is not in a vocabulary of ${vocabSize}`);
  if (ids.length > 0) return ids;
  const start = textStart(special);
  if (start.length > 0) return Int32Array.from(start);
  throw new LlqError("usage", t`the prompt is empty, and the model has no token that a text begins with`);
}
