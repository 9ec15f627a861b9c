import { badInput } from "../../formats/errors.js";
import { userDefinedSplitter } from "./fragments.js";
import { IdList } from "./ids.js";
import { leftOf, MergeQueue, rankOf } from "./merge-queue.js";
import { Neighbours } from "./neighbours.js";
import { decodePieces } from "./pieces.js";
import type { Tokenizer } from "./tokenizer.js";
import { byteOfTokenText, SPACE, TOKEN_TYPE, type Vocab } from "./types.js";

/**
 * SentencePiece BPE: starting from single characters, the two neighbours whose concatenation is the piece of
 * highest score are joined, the leftmost first among equals, until no two neighbours make a piece. A character
 * that is no piece then is spelled in byte tokens; where a vocabulary has none, a run of such characters is one
 * unknown token.
 *
 * Control, unknown and byte tokens are never made by joining, as in SentencePiece (llama.cpp can be led to).
 * @throws LlqError `bad-input` for a vocabulary that cannot encode every text
 */
export function createSpmTokenizer(vocab: Vocab): Tokenizer {
  const encoder = new SpmEncoder(vocab);
  const split = userDefinedSplitter(vocab);
  return {
    encode(text, { addBos = vocab.addBos } = {}) {
      const ids = new IdList();
      if (addBos && vocab.special.bos !== undefined) ids.push(vocab.special.bos);
      let afterToken = true;
      for (const fragment of split(text)) {
        if (typeof fragment === "number") ids.push(fragment);
        else encoder.encode(normalize(vocab, fragment, afterToken), ids);
        afterToken = typeof fragment === "number";
      }
      return ids.toArray();
    },
    decode: (ids) => decodePieces(vocab, ids),
  };
}

/** Spaces as pieces spell them. As in llama.cpp, the text after a user-defined token is prefixed again. */
function normalize(vocab: Vocab, text: string, afterToken: boolean): string {
  const kept = vocab.removeExtraWhitespaces ? text.replace(/^ +| +$/g, "").replace(/ {2,}/g, " ") : text;
  const prefixed = vocab.addSpacePrefix && afterToken && kept !== "" ? ` ${kept}` : kept;
  return prefixed.replaceAll(" ", SPACE);
}

const NONE = -1;
/** Longer segments are rarely seen again. */
const LONGEST_CACHED = 64;
const CACHE_SIZE = 1 << 16;

class SpmEncoder {
  /** Tokens that joining may make. */
  readonly #pieces = new Map<string, number>();
  /** Order in which each token is made; equal scores share a rank. */
  readonly #ranks: Int32Array;
  readonly #byteIds: Int32Array | undefined;
  readonly #unknown: number | undefined;
  readonly #neighbours = new Neighbours();
  readonly #cache = new Map<string, Int32Array>();

  // The symbols of the segment at hand: a linked list over its characters, each known by its first.
  #capacity = 0;
  #start = new Int32Array(0);
  #previous = new Int32Array(0);
  #next = new Int32Array(0);
  /** The symbol's token. */
  #id = new Int32Array(0);
  /** The token that the symbol and the next one make, and its rank. */
  #pairId = new Int32Array(0);
  #pairRank = new Int32Array(0);
  readonly #queue = new MergeQueue();

  constructor(vocab: Vocab) {
    const { NORMAL, USER_DEFINED, UNUSED } = TOKEN_TYPE;
    for (const [id, text] of vocab.tokens.entries()) {
      const type = vocab.types[id];
      if (type !== NORMAL && type !== USER_DEFINED && type !== UNUSED) continue;
      this.#pieces.set(text, id);
      this.#neighbours.add(text);
    }
    this.#ranks = ranksByScore(vocab.scores!);
    this.#byteIds = byteIds(vocab);
    this.#unknown = vocab.special.unk;
    if (this.#byteIds === undefined && this.#unknown === undefined) {
      throw badInput("the vocabulary has neither the 256 byte tokens nor an unknown token");
    }
  }

  /**
   * No piece reaches over two characters that stand side by side in none. Cut there, a text falls into short
   * segments that come again and again, mostly words.
   */
  encode(text: string, out: IdList): void {
    let start = 0;
    let left = text.codePointAt(0) ?? 0;
    for (let i = width(left); i < text.length; ) {
      const right = text.codePointAt(i)!;
      if (!this.#neighbours.has(left, right)) {
        this.#append(this.#encodeSegment(text.slice(start, i)), out);
        start = i;
      }
      left = right;
      i += width(right);
    }
    if (start < text.length) this.#append(this.#encodeSegment(text.slice(start)), out);
  }

  /** Joins runs of the unknown token. */
  #append(ids: Int32Array, out: IdList): void {
    const joins = ids[0] === this.#unknown && out.at(out.length - 1) === this.#unknown;
    out.append(joins ? ids.subarray(1) : ids);
  }

  #encodeSegment(segment: string): Int32Array {
    const known = this.#cache.get(segment);
    if (known !== undefined) return known;
    const count = this.#splitCharacters(segment);
    this.#merge(segment, count);
    const ids = this.#collect(segment, count);
    if (segment.length <= LONGEST_CACHED) {
      if (this.#cache.size === CACHE_SIZE) this.#cache.clear();
      this.#cache.set(segment, ids);
    }
    return ids;
  }

  /** Makes every character a symbol; the number of them. */
  #splitCharacters(segment: string): number {
    this.#reserve(segment.length + 1);
    let count = 0;
    for (let i = 0; i < segment.length; count++) {
      const end = i + width(segment.codePointAt(i)!);
      this.#start[count] = i;
      this.#previous[count] = count - 1;
      this.#next[count] = count + 1;
      this.#id[count] = this.#pieces.get(segment.slice(i, end)) ?? NONE;
      i = end;
    }
    this.#start[count] = segment.length;
    return count;
  }

  #merge(segment: string, count: number): void {
    for (let i = 0; i < count; i++) this.#offerPair(segment, i, count);
    for (let merge = this.#queue.pop(); merge !== NONE; merge = this.#queue.pop()) {
      const left = leftOf(merge);
      if (this.#pairRank[left] !== rankOf(merge)) continue; // one of the two has since been joined elsewhere
      const right = this.#next[left]!;
      const after = this.#next[right]!;
      this.#id[left] = this.#pairId[left]!;
      this.#pairRank[right] = NONE;
      this.#next[left] = after;
      if (after < count) this.#previous[after] = left;
      this.#offerPair(segment, left, count);
      if (left > 0) this.#offerPair(segment, this.#previous[left]!, count);
    }
  }

  /** Queues the symbol and its right neighbour if together they are a piece. */
  #offerPair(segment: string, left: number, count: number): void {
    this.#pairRank[left] = NONE;
    const right = this.#next[left]!;
    if (right === count) return;
    const id = this.#pieces.get(segment.slice(this.#start[left], this.#start[this.#next[right]!]));
    if (id === undefined) return;
    const rank = this.#ranks[id]!;
    this.#pairId[left] = id;
    this.#pairRank[left] = rank;
    this.#queue.push(rank, left);
  }

  #collect(segment: string, count: number): Int32Array {
    const ids = new IdList();
    for (let i = 0; i < count; i = this.#next[i]!) {
      const id = this.#id[i]!;
      if (id !== NONE) ids.push(id);
      else if (this.#byteIds === undefined) this.#append(Int32Array.of(this.#unknown!), ids);
      else {
        const character = segment.slice(this.#start[i], this.#start[this.#next[i]!]);
        for (const byte of Buffer.from(character)) ids.push(this.#byteIds[byte]!);
      }
    }
    return ids.toArray();
  }

  #reserve(length: number): void {
    if (length <= this.#capacity) return;
    this.#capacity = Math.max(length, 2 * this.#capacity);
    this.#start = new Int32Array(this.#capacity);
    this.#previous = new Int32Array(this.#capacity);
    this.#next = new Int32Array(this.#capacity);
    this.#id = new Int32Array(this.#capacity);
    this.#pairId = new Int32Array(this.#capacity);
    this.#pairRank = new Int32Array(this.#capacity);
  }
}

/** UTF-16 units of a character. */
function width(character: number): number {
  return character > 0xffff ? 2 : 1;
}

/** For each token the place of its score among the scores, highest first. */
function ranksByScore(scores: Float32Array): Int32Array {
  const rank = new Map<number, number>();
  for (const score of scores.toSorted().reverse()) {
    if (!rank.has(score)) rank.set(score, rank.size);
  }
  return Int32Array.from(scores, (score) => rank.get(score)!);
}

/** The id of each byte's token, if a vocabulary has them all. */
function byteIds(vocab: Vocab): Int32Array | undefined {
  const ids = new Int32Array(256).fill(NONE);
  for (const [id, text] of vocab.tokens.entries()) {
    if (vocab.types[id] === TOKEN_TYPE.BYTE) ids[byteOfTokenText(text) ?? badByteToken(text)] = id;
  }
  return ids.includes(NONE) ? undefined : ids;
}

function badByteToken(text: string): never {
  throw badInput(`byte token ${JSON.stringify(text)} is not of the form <0x0A>`);
}
