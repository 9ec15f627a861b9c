import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { NO_PAIR, PairMap } from "./pair-map.js";
import { Prefixes } from "./prefixes.js";
import { NO_TOKEN, type TokenIndex } from "./token-index.js";

/** Merges by the ids of their tokens: what each joins, and what it makes; the first is made first. */
export interface MergePairs {
  readonly lefts: Int32Array;
  readonly rights: Int32Array;
  readonly results: Int32Array;
}

/** `left right` for each. */
export function spellMerges({ lefts, rights }: MergePairs, tokens: readonly string[]): string[] {
  return Array.from(lefts, (left, i) => `${tokens[left]} ${tokens[rights[i]!]}`);
}

/** More than ten times as many as any vocabulary has; tokens of one character's repetitions would have millions. */
const MAX_MERGES = 2 ** 22;

/**
 * Every way to make a token of two others: in order of what is made, then of the parts, as transformers lists them. `name` is
 * the file, for messages.
 * @throws LlqError `bad-input` for more than MAX_MERGES
 */
export function everyMerge(name: string, index: TokenIndex): MergePairs {
  return mergesOf(name, index, undefined);
}

/**
 * A list of merges that does what merging by rank does; a token's rank is its id. Where merging the bytes of
 * each token leads to two parts, these parts. Where it does not (some tokens of Llama 3 were put into the list by hand), every way
 * to make a token of two others, as everyMerge; a pre-tokenizer with ignoreMerges does the rest.
 * @throws LlqError as everyMerge
 */
export function mergesOfRanks(name: string, index: TokenIndex): MergePairs {
  const last = new LastMerges(index.starts.length - 1);
  const every = mergesOf(name, index, last);
  return last.toPairs() ?? every;
}

function mergesOf(name: string, index: TokenIndex, last: LastMerges | undefined): MergePairs {
  const { units, starts } = index;
  const count = starts.length - 1;
  const list = new PairList(2 * count);
  const prefixes = new Prefixes();
  for (let id = 0; id < count; id++) {
    const [start, end] = [starts[id]!, starts[id + 1]!];
    if (end - start < 2) continue;
    prefixes.take(units, start, end);
    const made = index.find(units, start, end, prefixes.left(end - start));
    const first = list.length;
    for (let at = 1; at < end - start; at++) {
      const left = index.find(units, start, start + at, prefixes.left(at));
      if (left === NO_TOKEN) continue;
      const right = index.find(units, start + at, end, prefixes.right(at));
      if (right !== NO_TOKEN) list.insert(first, left, right, made);
    }
    last?.choose(id, made, list, first, starts);
    if (list.length > MAX_MERGES) throw badInput(t`${name}: more than ${MAX_MERGES} merges`);
  }
  return list.toPairs();
}

/**
 * The two tokens that merging by rank comes to last on its way to each token, while there are two for each. The parts of lower
 * ranks are known by then: what merging comes to is the two across whose seam nothing would have been joined before each of them was
 * made.
 */
class LastMerges {
  /** By the tokens they make; NO_TOKEN for tokens of one character. */
  readonly #lefts: Int32Array;
  readonly #rights: Int32Array;
  readonly #pairs: PairMap;
  #all = true;
  #length = 0;

  constructor(count: number) {
    this.#lefts = new Int32Array(count).fill(NO_TOKEN);
    this.#rights = new Int32Array(count).fill(NO_TOKEN);
    this.#pairs = new PairMap(count);
  }

  /** Takes one of those pairs of `list`, from `first` on, that make token `id`; `made` is the last token of this text. */
  choose(id: number, made: number, list: PairList, first: number, starts: Int32Array): void {
    if (!this.#all) return;
    for (let i = first; i < list.length; i++) {
      const [left, right] = [list.lefts[i]!, list.rights[i]!];
      if (left >= id && starts[left + 1]! - starts[left]! > 1) continue;
      if (right >= id && starts[right + 1]! - starts[right]! > 1) continue;
      if (!this.#holds(left, right)) continue;
      this.#all = made === id;
      this.#lefts[id] = left;
      this.#rights[id] = right;
      this.#pairs.add(left, right, id);
      this.#length++;
      return;
    }
    this.#all = false;
  }

  /** Whether nothing across the seam of two tokens is joined while each is made of its characters. */
  #holds(first: number, second: number): boolean {
    let [left, right] = [first, second];
    for (let limit = NO_LIMIT; ; ) {
      const made = this.#pairs.get(left, right);
      if (made !== NO_PAIR && made < limit) return false;
      // The one that was made last is taken apart: until then its parts were at the seam. What stands further left goes first.
      const parts = this.#rights[left]!;
      if (parts !== NO_TOKEN && (left > right || this.#lefts[right] === NO_TOKEN)) {
        limit = left;
        left = parts;
      } else {
        if (this.#lefts[right] === NO_TOKEN) return true;
        limit = right + 1;
        right = this.#lefts[right]!;
      }
    }
  }

  /** In order of their ranks; undefined when a token had none. */
  toPairs(): MergePairs | undefined {
    if (!this.#all) return undefined;
    const pairs = emptyPairs(this.#length);
    let to = 0;
    for (let id = 0; id < this.#lefts.length; id++) {
      if (this.#lefts[id] === NO_TOKEN) continue;
      pairs.lefts[to] = this.#lefts[id]!;
      pairs.rights[to] = this.#rights[id]!;
      pairs.results[to++] = id;
    }
    return pairs;
  }
}

const NO_LIMIT = 2 ** 30;

/** A growing list of pairs. */
class PairList {
  lefts: Int32Array;
  rights: Int32Array;
  results: Int32Array;
  length = 0;

  constructor(expected: number) {
    this.lefts = new Int32Array(expected + 1);
    this.rights = new Int32Array(expected + 1);
    this.results = new Int32Array(expected + 1);
  }

  /** Puts a pair in its place among those from `first` on, by its left token, of which there are mostly few. */
  insert(first: number, left: number, right: number, result: number): void {
    if (this.length === this.lefts.length) this.#grow();
    const { lefts, rights } = this;
    let at = this.length++;
    for (; at > first && lefts[at - 1]! > left; at--) {
      lefts[at] = lefts[at - 1]!;
      rights[at] = rights[at - 1]!;
    }
    lefts[at] = left;
    rights[at] = right;
    this.results[this.length - 1] = result; // the same for all of them
  }

  toPairs(): MergePairs {
    const { length } = this;
    return {
      lefts: this.lefts.subarray(0, length),
      rights: this.rights.subarray(0, length),
      results: this.results.subarray(0, length),
    };
  }

  #grow(): void {
    const larger = (array: Int32Array) => {
      const copy = new Int32Array(2 * array.length);
      copy.set(array);
      return copy;
    };
    this.lefts = larger(this.lefts);
    this.rights = larger(this.rights);
    this.results = larger(this.results);
  }
}

function emptyPairs(length: number): MergePairs {
  return { lefts: new Int32Array(length), rights: new Int32Array(length), results: new Int32Array(length) };
}
