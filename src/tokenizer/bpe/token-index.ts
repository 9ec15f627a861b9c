import { type Texts, withTexts } from "./rank-file.js";

/** No such token. */
export const NO_TOKEN = -1;

/** Drawn anew by each process, so that no file can be made whose tokens all fall into one place. */
const BASE = ((Math.random() * 2 ** 32) & ~7) | 5;
const MIX = (Math.random() * 2 ** 32) | 1;

/** BASE to the power of each length met so far. */
let powers = Int32Array.of(1);

/**
 * BASE to the powers 0 to `length`, modulo 2^32. A text's hash is the sum of its units times BASE to the number of those behind
 * them: that of two texts joined is `left * powers[right.length] + right`, and so that of a part follows from those of the whole.
 */
export function powersTo(length: number): Int32Array {
  if (length < powers.length) return powers;
  const larger = new Int32Array(Math.max(length + 1, 2 * powers.length, 256));
  larger.set(powers);
  for (let i = powers.length; i < larger.length; i++) larger[i] = Math.imul(larger[i - 1]!, BASE);
  powers = larger;
  return powers;
}

/** The hash of a text that goes on with `unit`. */
export function hashOn(hash: number, unit: number): number {
  return (Math.imul(hash, BASE) + unit) | 0;
}

/** The hash of a text. */
export function hashOf(units: Uint16Array, from: number, to: number): number {
  let hash = 0;
  for (let i = from; i < to; i++) hash = hashOn(hash, units[i]!);
  return hash;
}

/** Ids of tokens by their texts, whose UTF-16 units stand one behind the other: a text to look up needs no string. */
export class TokenIndex {
  /** Units of all tokens. */
  readonly units: Uint16Array;
  /** Where each token's begin, and where the last's end. */
  readonly starts: Int32Array;
  /** Different texts. */
  readonly size: number;
  /** Units of the longest token. */
  readonly longest: number;
  readonly #mask: number;
  /** By id. */
  readonly #hashes: Int32Array;
  /** Room for a text. */
  readonly #text: Uint16Array;
  /** A token's hash and its id, NO_TOKEN where there is none. */
  readonly #slots: Int32Array;

  /**
   * Of two tokens with one text the last is found; those `without` are not.
   * @param first an index of the first of the texts, all of which are found
   */
  constructor({ units, starts }: Texts, without: ReadonlySet<number> = new Set(), first?: TokenIndex) {
    this.units = units;
    this.starts = starts;
    const slots = 2 ** Math.ceil(Math.log2(1.5 * starts.length + 16));
    this.#mask = slots - 1;
    this.#slots = new Int32Array(2 * slots).fill(NO_TOKEN);
    this.#hashes = new Int32Array(starts.length - 1);
    const known = first !== undefined && first.#mask === this.#mask ? first : undefined;
    let size = known?.size ?? 0;
    let longest = known?.longest ?? 0;
    if (known !== undefined) {
      this.#slots.set(known.#slots);
      this.#hashes.set(known.#hashes);
    }
    for (let id = known?.count ?? 0; id < starts.length - 1; id++) {
      if (without.size > 0 && without.has(id)) continue;
      if (this.#add(id)) size++;
      longest = Math.max(longest, starts[id + 1]! - starts[id]!);
    }
    this.size = size;
    this.longest = longest;
    this.#text = new Uint16Array(longest);
    powersTo(longest);
  }

  /** Of all ids. */
  get count(): number {
    return this.starts.length - 1;
  }

  /** The same with texts behind it, but for ids `without`. */
  with(texts: readonly string[], without: ReadonlySet<number>): TokenIndex {
    return texts.length === 0 ? this : new TokenIndex(withTexts(this, texts), without, this);
  }

  /** Enters a token; whether its text is new. A function of its own is compiled after some hundred tokens, the loop much later. */
  #add(id: number): boolean {
    const { units, starts } = this;
    const hash = hashOf(units, starts[id]!, starts[id + 1]!);
    const slot = this.#find(units, starts[id]!, starts[id + 1]!, hash);
    const isNew = this.#slots[slot + 1] === NO_TOKEN;
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = id;
    this.#hashes[id] = hash;
    return isNew;
  }

  static of(tokens: readonly string[], without?: ReadonlySet<number>): TokenIndex {
    const starts = new Int32Array(tokens.length + 1);
    for (let id = 0; id < tokens.length; id++) starts[id + 1] = starts[id]! + tokens[id]!.length;
    const units = new Uint16Array(starts[tokens.length]!);
    let to = 0;
    for (let id = 0; id < tokens.length; id++) {
      const text = tokens[id]!;
      for (let i = 0; i < text.length; i++) units[to++] = text.charCodeAt(i);
    }
    return new TokenIndex({ units, starts }, without);
  }

  /** The token of a text. */
  get(text: string): number {
    const { length } = text;
    if (length > this.longest) return NO_TOKEN;
    let hash = 0;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      this.#text[i] = unit;
      hash = hashOn(hash, unit);
    }
    return this.find(this.#text, 0, length, hash);
  }

  /** The token of the text from `start` to `end`, whose hash is `hash`. */
  find(text: Uint16Array, start: number, end: number, hash: number): number {
    return this.#slots[this.#find(text, start, end, hash) + 1]!;
  }

  /** Whether there is a token `id`, and its text is the first `length` units. */
  isAt(id: number, text: Uint16Array, length: number): boolean {
    const { units, starts } = this;
    if (id + 1 >= starts.length) return false;
    const start = starts[id]!;
    if (starts[id + 1]! - start !== length) return false;
    let at = 0;
    while (at < length && text[at] === units[start + at]) at++;
    return at === length;
  }

  /** The token of the texts of two tokens, one behind the other. */
  findJoined(left: number, right: number): number {
    const { units, starts } = this;
    const slots = this.#slots;
    const [from, seam] = [starts[left]!, starts[left + 1]! - starts[left]!];
    const [on, length] = [starts[right]! - seam, seam + starts[right + 1]! - starts[right]!];
    if (length > this.longest) return NO_TOKEN;
    const hash = (Math.imul(this.#hashes[left]!, powers[length - seam]!) + this.#hashes[right]!) | 0;
    for (let slot = this.#first(hash); ; slot = (slot + 1) & this.#mask) {
      const id = slots[2 * slot + 1]!;
      if (id === NO_TOKEN) return NO_TOKEN;
      if (slots[2 * slot] !== hash) continue;
      const start = starts[id]!;
      if (starts[id + 1]! - start !== length) continue;
      let at = 0;
      while (at < seam && units[start + at] === units[from + at]) at++;
      if (at < seam) continue;
      while (at < length && units[start + at] === units[on + at]) at++;
      if (at === length) return id;
    }
  }

  /** The slot to look at first. */
  #first(hash: number): number {
    const mixed = Math.imul(hash ^ (hash >>> 15), MIX);
    return (mixed ^ (mixed >>> 13)) & this.#mask;
  }

  /** Where it is, or would be. */
  #find(text: Uint16Array, start: number, end: number, hash: number): number {
    const { units, starts } = this;
    const slots = this.#slots;
    for (let slot = this.#first(hash); ; slot = (slot + 1) & this.#mask) {
      const id = slots[2 * slot + 1]!;
      if (id === NO_TOKEN) return 2 * slot;
      if (slots[2 * slot] !== hash) continue;
      const shift = starts[id]! - start;
      if (starts[id + 1]! - end !== shift) continue;
      let at = start;
      while (at < end && text[at] === units[at + shift]) at++;
      if (at === end) return 2 * slot;
    }
  }
}
