import { badInput } from "../../formats/errors.js";
import { t } from "../language/t.js";
import type { AddedToken } from "./hf/hf-config.js";
import { MAX_TOKENS, SPACE, TOKEN_TYPE } from "./types.js";

/** The scores llama.cpp's converter gives tokens added after training, and ids that nothing describes. */
export const ADDED_SCORE = -1000;
const PAD_SCORE = -10000;

/** The tokens of a vocabulary while it is put together. Ids that nobody sets are `[PADi]`, unused, as in llama.cpp. */
export class TokenTable {
  readonly #tokens: (string | undefined)[];
  readonly types: number[];
  readonly scores: Float32Array;

  /**
   * @param trained tokens that the vocabulary has by itself
   * @param rows of the embedding; undefined when only the vocabulary knows
   * @param name the vocabulary's file, for messages
   * @throws LlqError `bad-input` when there are fewer rows than tokens, or more than MAX_TOKENS
   */
  constructor(name: string, trained: number, rows: number = trained) {
    if (trained > rows) {
      const message = t`${name}: ${trained} tokens, but the embedding of the model has ${rows} rows`;
      throw badInput(message, t`the tokenizer belongs to another model`);
    }
    if (rows > MAX_TOKENS)
      throw badInput(t`${name}: a vocabulary of ${rows} tokens; at most ${MAX_TOKENS} are possible`);
    this.#tokens = new Array(rows).fill(undefined);
    this.types = new Array(rows).fill(TOKEN_TYPE.UNUSED);
    this.scores = new Float32Array(rows).fill(PAD_SCORE);
  }

  /** Each by its id. */
  get tokens(): string[] {
    for (let id = this.#tokens.indexOf(undefined); id >= 0; id = this.#tokens.indexOf(undefined, id + 1)) {
      this.#tokens[id] = `[PAD${id}]`;
    }
    return this.#tokens as string[];
  }

  /** A token beyond the rows can never be used and is left out. */
  set(id: number, text: string, type: number, score: number): void {
    if (id >= this.#tokens.length) return;
    this.#tokens[id] = text;
    this.types[id] = type;
    this.scores[id] = score;
  }

  /** A token added after training: a control token, or one that stands for itself in plain text. */
  setAdded(token: AddedToken): void {
    const { id, content } = token;
    if (isControl(token)) this.set(id, content, TOKEN_TYPE.CONTROL, ADDED_SCORE);
    else this.set(id, content.replaceAll(SPACE, " "), TOKEN_TYPE.USER_DEFINED, ADDED_SCORE);
  }
}

/**
 * Some publishers forget to mark their control tokens as special; these are the spellings that llama.cpp's
 * converter knows.
 */
function isControl({ special, content }: AddedToken): boolean {
  return (
    special ||
    /^<\|.*\|>$|^<｜.*｜>$|^<unused.*>$/s.test(content) ||
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].includes(content)
  );
}
