import { badInput } from "../../formats/errors.js";
import { t } from "../language/t.js";
import { stringsOf } from "./bpe/rank-file.js";
import type { TokenIndex } from "./bpe/token-index.js";
import type { AddedToken } from "./hf/hf-config.js";
import { MAX_TOKENS, SPACE, TOKEN_TYPE } from "./types.js";

/** The scores llama.cpp's converter gives tokens added after training, and ids that nothing describes. */
export const ADDED_SCORE = -1000;
const PAD_SCORE = -10000;

/** The tokens of a vocabulary while it is put together. Ids that nobody sets are `[PADi]`, unused, as in llama.cpp. */
export class TokenTable {
  /** Undefined for pads, and for tokens of #index. */
  readonly #tokens: (string | undefined)[];
  /** Tokens of the first ids, of which no strings are made yet. */
  #index: TokenIndex | undefined;
  /** One of them has been given another text. */
  #isChanged = false;
  #isWhole = false;
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

  /** A table whose first tokens are those of `index`, normal ones. Their strings are made when they are first asked for. */
  static of(name: string, index: TokenIndex, rows: number): TokenTable {
    const { count } = index;
    const table = new TokenTable(name, count, rows);
    table.#index = index;
    table.types.fill(TOKEN_TYPE.NORMAL, 0, count);
    table.scores.fill(0, 0, count);
    return table;
  }

  get length(): number {
    return this.#tokens.length;
  }

  /** Each by its id. */
  get tokens(): string[] {
    if (this.#isWhole) return this.#tokens as string[];
    const first = this.#index === undefined ? [] : stringsOf(this.#index);
    for (let id = 0; id < this.#tokens.length; id++) this.#tokens[id] ??= first[id] ?? `[PAD${id}]`;
    this.#isWhole = true;
    this.#index = undefined;
    return this.#tokens as string[];
  }

  /** Those from an id on, behind the index. */
  from(first: number): string[] {
    return this.#tokens.slice(first).map((text, i) => text ?? `[PAD${first + i}]`);
  }

  /** The last id of a text; -1 if there is none. */
  lastIndexOf(text: string): number {
    const index = this.#index;
    if (index === undefined || this.#isChanged) return this.tokens.lastIndexOf(text);
    const behind = this.from(index.count).lastIndexOf(text);
    return behind < 0 ? index.get(text) : index.count + behind;
  }

  /** The index of all tokens but those `without`; undefined if a token of the first has been given another text. */
  indexOfAll(without: ReadonlySet<number>): TokenIndex | undefined {
    const index = this.#index;
    return index === undefined || this.#isChanged ? undefined : index.with(this.from(index.count), without);
  }

  /** A token beyond the rows can never be used and is left out. */
  set(id: number, text: string, type: number, score: number): void {
    if (id >= this.#tokens.length) return;
    const isSame = this.#index !== undefined && id < this.#index.count && this.#index.get(text) === id;
    if (!isSame) {
      this.#tokens[id] = text;
      this.#isChanged ||= this.#index !== undefined && id < this.#index.count;
    }
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
