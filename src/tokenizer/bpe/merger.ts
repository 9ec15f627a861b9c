import { leftOf, MergeQueue, rankOf } from "./merge-queue.js";

/** No token, no merge. */
export const NONE = -1;

/** What merges there are, each a number from 0 on. */
export interface Merges {
  /** When it is made, below MAX_RANK. */
  rankOf(merge: number): number;
  /** The token that it makes. */
  resultOf(merge: number): number;
}

/** The merge of two neighbouring symbols if there is one, else NONE. */
export type FindMerge = (left: number, right: number) => number;

/**
 * BPE's inner loop, over a list of symbols that are joined two by two, lowest rank first and the leftmost first
 * among equals. Symbols are numbered from the left; two that are joined keep the left one's number.
 */
export class Merger {
  readonly #known: Merges;
  readonly #queue = new MergeQueue();

  /** How many symbols there were at first; also the number of the end. */
  count = 0;
  /** Each symbol's token. */
  ids = new Int32Array(64);
  /** The symbol to the right of each. */
  next = new Int32Array(64);
  #previous = new Int32Array(64);
  /** The merge of each symbol with its right neighbour. */
  #merges = new Int32Array(64);

  constructor(known: Merges) {
    this.#known = known;
  }

  /** Forgets all symbols. */
  clear(): void {
    this.count = 0;
  }

  /** Puts a symbol at the right end. */
  add(id: number): void {
    const at = this.count++;
    if (at === this.ids.length) this.#grow();
    this.ids[at] = id;
    this.#previous[at] = at - 1;
    this.next[at] = at + 1;
  }

  merge(find: FindMerge): void {
    for (let i = 0; i < this.count; i++) this.#offer(i, find);
    for (let first = this.#queue.pop(); first !== NONE; first = this.#queue.pop()) {
      const left = leftOf(first);
      const merge = this.#merges[left]!;
      if (merge === NONE || this.#known.rankOf(merge) !== rankOf(first)) continue; // a neighbour was joined meanwhile
      const right = this.next[left]!;
      const after = this.next[right]!;
      this.ids[left] = this.#known.resultOf(merge);
      this.#merges[right] = NONE;
      this.next[left] = after;
      if (after < this.count) this.#previous[after] = left;
      this.#offer(left, find);
      if (left > 0) this.#offer(this.#previous[left]!, find);
    }
  }

  #offer(left: number, find: FindMerge): void {
    const right = this.next[left]!;
    const merge = right < this.count ? find(left, right) : NONE;
    this.#merges[left] = merge;
    if (merge !== NONE) this.#queue.push(this.#known.rankOf(merge), left);
  }

  #grow(): void {
    const larger = (array: Int32Array) => {
      const copy = new Int32Array(2 * array.length);
      copy.set(array);
      return copy;
    };
    this.ids = larger(this.ids);
    this.next = larger(this.next);
    this.#previous = larger(this.#previous);
    this.#merges = larger(this.#merges);
  }
}
