import { concatBytes, encodeUtf8 } from "#host/bytes";
import type { MergeList } from "../bpe/merge-list.js";
import type { Texts } from "../bpe/rank-file.js";
import { hashOf, NO_TOKEN, TokenIndex } from "../bpe/token-index.js";
import { IdList } from "../ids.js";
import { JsonBytes, NO_JSON } from "./json-bytes.js";

/** The tokens and merges of a tokenizer.json, and what else it holds. */
export interface ScannedBpe {
  /** By id. */
  readonly texts: Texts;
  /** Of those. */
  readonly index: TokenIndex;
  readonly merges: MergeList;
  /** The file without them: with `{}` and `[]` in their place, JSON if the file is. */
  readonly rest: Uint8Array;
}

/** More are left to who counts values before it makes any. */
const MAX_TOKENS = 2 ** 19;
const MAX_MERGES = 2 ** 20;
/** Ways to make one token that are listed; who meets two of its parts goes through them. */
const MAX_WAYS = 255;
/** UTF-16 units of a token, a merge or a key. */
const MAX_LENGTH = 2 ** 16;

const [SPACE, QUOTE, COMMA, COLON] = [0x20, 0x22, 0x2c, 0x3a];
const [BRACKET, BRACKET_END, BRACE, BRACE_END] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Reads `model.vocab` and `model.merges` of a tokenizer.json into tables, without an object for any. Undefined for files in which
 * something is unlike what the tokenizers library writes for byte-level BPE: tokens not in order of their ids, or alike, or with
 * spaces, merges before them, not in order of what they make, or making what is no token, and what is no JSON. JSON.parse reads those.
 */
export function scanBpe(bytes: Uint8Array): ScannedBpe | undefined {
  const scan = new BpeScan(bytes);
  return scan.object((key) => (key === "model" ? scan.model() : scan.json.skip())) ? scan.found() : undefined;
}

/** What is done for each token or merge is a function of its own: those are compiled after some hundred calls, a loop much later. */
class BpeScan {
  readonly json: JsonBytes;
  readonly #bytes: Uint8Array;
  /** Units of the text at hand. */
  readonly #text = new Uint16Array(MAX_LENGTH);
  /** Units of the vocabulary. */
  #units = new Uint16Array(16 * MAX_LENGTH);
  #tokens: { readonly texts: Texts; readonly index: TokenIndex } | undefined;
  #merges: MergeList | undefined;
  #models = 0;
  /** Where the vocabulary and the merges begin and end. */
  readonly #cuts: number[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.json = new JsonBytes(bytes);
  }

  /** Goes through an object's entries, whose values `read` reads. */
  object(read: (key: string) => boolean): boolean {
    const { json } = this;
    if (!json.take(BRACE)) return false;
    do {
      const end = json.text(this.#text, 0);
      if (end === NO_JSON || !json.take(COLON)) return false;
      if (!read(String.fromCharCode(...this.#text.subarray(0, Math.min(end, 16))))) return false;
    } while (json.take(COMMA));
    return json.take(BRACE_END);
  }

  model(): boolean {
    if (this.#models++ > 0) return false; // of two, the last counts
    return this.object((key) => {
      if (key === "vocab") return this.#cut(() => this.#readTokens());
      if (key === "merges") return this.#cut(() => this.#readMerges());
      return this.json.skip();
    });
  }

  found(): ScannedBpe | undefined {
    if (this.#tokens === undefined || this.#merges === undefined) return undefined;
    const [tokens, tokensEnd, merges, mergesEnd] = this.#cuts;
    const rest = concatBytes([
      this.#bytes.subarray(0, tokens),
      encodeUtf8("{}"),
      this.#bytes.subarray(tokensEnd, merges),
      encodeUtf8("[]"),
      this.#bytes.subarray(mergesEnd),
    ]);
    return { ...this.#tokens, merges: this.#merges, rest };
  }

  #cut(read: () => boolean): boolean {
    this.json.peek();
    this.#cuts.push(this.json.at);
    const isRead = read();
    this.#cuts.push(this.json.at);
    return isRead;
  }

  /** `{"a": 0, "b": 1}` */
  #readTokens(): boolean {
    const { json } = this;
    if (this.#tokens !== undefined || !json.take(BRACE)) return false;
    const starts = new IdList();
    let to = 0;
    do {
      starts.push(to);
      to = this.#readToken(to, starts.length - 1);
      if (to === NO_JSON || starts.length > MAX_TOKENS) return false;
    } while (json.take(COMMA));
    starts.push(to);
    const texts = { units: this.#units.slice(0, to), starts: starts.toArray() };
    const index = new TokenIndex(texts);
    this.#tokens = { texts, index };
    return json.take(BRACE_END) && index.size === starts.length - 1 && !texts.units.includes(SPACE);
  }

  /** Where the units of a token end that begin at `from`. */
  #readToken(from: number, id: number): number {
    if (this.#units.length - from < MAX_LENGTH) this.#grow();
    const to = this.json.text(this.#units, from);
    return to !== NO_JSON && this.json.take(COLON) && this.json.integer() === id ? to : NO_JSON;
  }

  #grow(): void {
    const larger = new Uint16Array(2 * this.#units.length);
    larger.set(this.#units);
    this.#units = larger;
  }

  /** `["a b", ["b", "c"]]` */
  #readMerges(): boolean {
    const { json } = this;
    if (this.#tokens === undefined || this.#merges !== undefined || !json.take(BRACKET)) return false;
    const { index } = this.#tokens;
    const [results, seams] = [new IdList(), new IdList()];
    let result = 0;
    let ways = 0;
    do {
      const last = result;
      result = this.#readMerge(index, last, seams);
      ways = result === last ? ways + 1 : 1;
      if (result === NO_TOKEN || ways > MAX_WAYS || results.length === MAX_MERGES) return false;
      results.push(result);
    } while (json.take(COMMA));
    this.#merges = { results: results.toArray(), seams: seams.toArray() };
    return json.take(BRACKET_END);
  }

  /** Adds the seam of a merge; the token that it makes, which is not before `last`. */
  #readMerge(index: TokenIndex, last: number, seams: IdList): number {
    const { json } = this;
    const text = this.#text;
    let seam = 0;
    let end = 0;
    if (json.peek() === QUOTE) {
      end = json.text(text, 0) - 1;
      while (seam < end && text[seam] !== SPACE) seam++;
      for (let i = seam; i < end; i++) text[i] = text[i + 1]!;
    } else {
      if (!json.take(BRACKET)) return NO_TOKEN;
      seam = json.text(text, 0);
      if (seam === NO_JSON || !json.take(COMMA)) return NO_TOKEN;
      end = json.text(text, seam);
      if (!json.take(BRACKET_END)) return NO_TOKEN;
    }
    if (seam === 0 || seam >= end || end > index.longest) return NO_TOKEN;
    seams.push(seam);
    if (index.isAt(last + 1, text, end)) return last + 1; // mostly
    if (index.isAt(last, text, end)) return last;
    const result = index.find(text, 0, end, hashOf(text, 0, end));
    return result < last ? NO_TOKEN : result;
  }
}
