import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { MergeList } from "./merge-list.js";
import { MAX_RANK } from "./merge-queue.js";
import { type Merges, NONE } from "./merger.js";
import { PairMap } from "./pair-map.js";
import { Prefixes } from "./prefixes.js";
import { hashOn, NO_TOKEN, powersTo, type TokenIndex } from "./token-index.js";

/** Merges that bpe makes, found by the ids of two neighbours. */
export interface PairMerges extends Merges {
  /** NONE where the two stay apart. */
  find(left: number, right: number): number;
}

/**
 * Merges of a list of texts, `left right`, numbered as there. Those of what are no tokens could never be made, but keep their place.
 * @throws LlqError `bad-input` for what is no two texts with a space between
 */
export function listedMerges(merges: readonly string[], index: TokenIndex): PairMerges {
  const pairs = new PairMap(merges.length);
  const results = new Int32Array(merges.length);
  let units = new Uint16Array(256);
  for (let rank = 0; rank < merges.length; rank++) {
    const merge = merges[rank]!;
    const space = merge.indexOf(" ", 1);
    if (space < 0) throw badInput(t`merge ${rank} is not a pair of tokens: ${JSON.stringify(merge)}`);
    const length = merge.length - 1;
    if (length > units.length) units = new Uint16Array(2 * length);
    let [leftHash, rightHash] = [0, 0];
    for (let i = 0; i < space; i++) {
      units[i] = merge.charCodeAt(i);
      leftHash = hashOn(leftHash, units[i]!);
    }
    for (let i = space; i < length; i++) {
      units[i] = merge.charCodeAt(i + 1);
      rightHash = hashOn(rightHash, units[i]!);
    }
    const left = index.find(units, 0, space, leftHash);
    if (left === NO_TOKEN) continue;
    const right = index.find(units, space, length, rightHash);
    if (right === NO_TOKEN) continue;
    const joined = (Math.imul(leftHash, powersTo(length)[length - space]!) + rightHash) | 0;
    const result = index.find(units, 0, length, joined);
    if (result === NO_TOKEN) continue;
    results[rank] = result;
    pairs.add(left, right, rank);
  }
  return {
    find: (left, right) => pairs.get(left, right),
    rankOf: (merge) => merge,
    resultOf: (merge) => results[merge]!,
  };
}

/**
 * Merges numbered as they are listed, of which no table of pairs is made: whether two tokens make one is looked up when they meet,
 * and then whether the list has it.
 */
export function seamedMerges(index: TokenIndex, { results, seams }: MergeList): PairMerges {
  const { starts } = index;
  return {
    find: remembered((left, right) => {
      const result = index.findJoined(left, right);
      if (result === NO_TOKEN) return NONE;
      const seam = starts[left + 1]! - starts[left]!;
      for (let rank = firstOf(results, result); results[rank] === result; rank++) {
        if (seams[rank] === seam) return rank;
      }
      return NONE;
    }),
    rankOf: (merge) => merge,
    resultOf: (merge) => results[merge]!,
  };
}

/** The place of the first of ascending numbers that is not below `number`. */
function firstOf(ascending: Int32Array, number: number): number {
  let [from, to] = [0, ascending.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (ascending[middle]! < number) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Of making one token of two others: fewer than it has characters. */
const WAYS_BITS = 7;
const MAX_WAYS = 2 ** WAYS_BITS;
/** Tokens that may be ranked. */
const MAX_RANKED = MAX_RANK / MAX_WAYS;

/** Of so many pairs that met last it is remembered what they make, mostly nothing. */
const MET = 2 ** 15;
const MET_SHIFT = 32 - 15;

/**
 * The merges that everyMerge lists, of which no list is made: whether two tokens make one is looked up when they meet. The first
 * `ranks` tokens of the index are merged. Undefined when some are alike or too long.
 */
export function rankedMerges(index: TokenIndex, ranks: number): PairMerges | undefined {
  const { units, starts } = index;
  if (index.size < starts.length - 1 || ranks > MAX_RANKED || index.longest > MAX_WAYS) return undefined;
  /** How many ways there are to make each token of two, 0 where that is not known yet. */
  const ways = new Uint8Array(ranks);
  /** Of tokens that have several ways, the place of each by what is made and the left of the two. */
  const places = new PairMap(1 << 12);
  const prefixes = new Prefixes();

  const lefts = new Int32Array(MAX_WAYS);

  const survey = (made: number) => {
    const [start, end] = [starts[made]!, starts[made + 1]!];
    prefixes.take(units, start, end);
    let count = 0;
    for (let at = 1; at < end - start; at++) {
      const left = index.find(units, start, start + at, prefixes.left(at));
      if (left === NO_TOKEN || left >= ranks) continue;
      const right = index.find(units, start + at, end, prefixes.right(at));
      if (right === NO_TOKEN || right >= ranks) continue;
      let to = count++;
      for (; to > 0 && lefts[to - 1]! > left; to--) lefts[to] = lefts[to - 1]!;
      lefts[to] = left;
    }
    ways[made] = count;
    for (let i = 0; count > 1 && i < count; i++) places.add(made, lefts[i]!, i);
  };
  const lookUp = (left: number, right: number) => {
    if (left >= ranks || right >= ranks) return NONE;
    const made = index.findJoined(left, right);
    if (made === NO_TOKEN || made >= ranks) return NONE;
    if (ways[made] === 0) survey(made);
    return made * MAX_WAYS + (ways[made] === 1 ? 0 : places.get(made, left));
  };
  return { find: remembered(lookUp), rankOf: (merge) => merge, resultOf: (merge) => merge >> WAYS_BITS };
}

/** What `lookUp` finds, which it is not asked for again soon. */
function remembered(
  lookUp: (left: number, right: number) => number,
): (left: number, right: number) => number {
  const met = new Int32Array(3 * MET);
  return (left, right) => {
    const at = 3 * ((Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> MET_SHIFT);
    if (met[at] === left + 1 && met[at + 1] === right) return met[at + 2]!;
    const merge = lookUp(left, right);
    met[at] = left + 1;
    met[at + 1] = right;
    met[at + 2] = merge;
    return merge;
  };
}
