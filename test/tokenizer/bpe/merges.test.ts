import { expect, test } from "vitest";
import { mergesOfRanks, spellMerges } from "../../../src/tokenizer/bpe/merge-pairs.js";
import { Merger } from "../../../src/tokenizer/bpe/merger.js";
import { listedMerges, type PairMerges, rankedMerges } from "../../../src/tokenizer/bpe/merges.js";
import { TokenIndex } from "../../../src/tokenizer/bpe/token-index.js";
import { Random } from "../../support/random.js";

/** tiktoken's loop as its documentation has it: of all neighbours that make a token, the lowest rank, the leftmost first. */
function byRank(tokens: readonly string[], text: string): number[] {
  const parts = [...text];
  for (;;) {
    const ranks = parts.slice(1).map((part, i) => tokens.indexOf(parts[i]! + part));
    const lowest = Math.min(...ranks.filter((rank) => rank >= 0));
    if (lowest === Number.POSITIVE_INFINITY) return parts.map((part) => tokens.indexOf(part));
    const at = ranks.indexOf(lowest);
    parts.splice(at, 2, tokens[lowest]!);
  }
}

function byMerges(merges: PairMerges, tokens: readonly string[], text: string): number[] {
  const merger = new Merger(merges);
  for (const character of text) merger.add(tokens.indexOf(character));
  merger.merge((left, right) => merges.find(merger.ids[left]!, merger.ids[right]!));
  const ids: number[] = [];
  for (let i = 0; i < merger.count; i = merger.next[i]!) ids.push(merger.ids[i]!);
  return ids;
}

/** As training makes one: each token is what merging two neighbours of some text makes; with `strange`, some are random. */
function vocabulary(random: Random, strange: boolean): string[] {
  const tokens = ["a", "b", "c"];
  while (tokens.length < 40) {
    const text = words(random, 8);
    const ids = byRank(tokens, text);
    const at = random.below(ids.length - 1);
    const made = strange && random.below(10) === 0 ? text : tokens[ids[at]!]! + (tokens[ids[at + 1]!] ?? "");
    if (made.length > 1 && !tokens.includes(made)) tokens.push(made);
  }
  return tokens;
}

function words(random: Random, length: number): string {
  return Array.from({ length }, () => random.pick(["a", "b", "c"])).join("");
}

test("merges of ranks do what merging by rank does, looked up as listed", () => {
  const random = new Random(7);
  let lists = 0;
  for (let round = 0; round < 60; round++) {
    const strange = round % 2 === 1;
    const tokens = vocabulary(random, strange);
    const index = TokenIndex.of(tokens);
    const pairs = mergesOfRanks("x", index);
    const listed = listedMerges(spellMerges(pairs, tokens), index);
    const ranked = rankedMerges(index, tokens.length)!;
    const isExact = tokens.slice(3).every((token, i) => byRank(tokens.slice(0, i + 3), token).length === 2);
    expect(pairs.results.length === tokens.length - 3).toBe(isExact);
    if (isExact) lists++;
    for (let i = 0; i < 20; i++) {
      const text = words(random, 30);
      const ids = byMerges(listed, tokens, text);
      expect(byMerges(ranked, tokens, text)).toEqual(ids);
      if (isExact) expect(ids).toEqual(byRank(tokens, text));
    }
  }
  expect(lists).toBeGreaterThan(25);
  expect(lists).toBeLessThan(60);
});

test("tokens that are alike, or long, are not looked up by their ranks", () => {
  expect(rankedMerges(TokenIndex.of(["a", "b", "ab", "ab"]), 3)).toBeUndefined();
  expect(rankedMerges(TokenIndex.of(["a", "a".repeat(129)]), 2)).toBeUndefined();
  expect(rankedMerges(TokenIndex.of(["a", "a".repeat(128)]), 2)).toBeDefined();
});
