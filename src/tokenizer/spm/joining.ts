import { Merger, NONE } from "../bpe/merger.js";
import type { Vocab } from "../types.js";

/** How two neighbours come to be one piece. */
export interface Joining {
  readonly merger: Merger;
  /** What a character is before it is joined. */
  start(character: string): number;
  /** The merge of two neighbours, whose text together is at hand. */
  find(left: number, right: number, text: () => string): number;
}

/** Any two that make a piece, the piece of highest score first. A merge is known by the token it makes. */
export function joiningByScores(vocab: Vocab, pieces: ReadonlyMap<string, number>): Joining {
  const ranks = ranksByScore(vocab.scores!);
  return {
    merger: new Merger({ rankOf: (id) => ranks[id]!, resultOf: (id) => id }),
    start: () => NONE,
    find: (_, __, text) => pieces.get(text()) ?? NONE,
  };
}

/** For each token the place of its score among the scores, highest first. */
function ranksByScore(scores: Float32Array): Int32Array {
  const rank = new Map<number, number>();
  for (const score of scores.toSorted().reverse()) {
    if (!rank.has(score)) rank.set(score, rank.size);
  }
  return Int32Array.from(scores, (score) => rank.get(score)!);
}

/** Only those two that are in the list of merges, in its order. */
export function joiningByMerges(vocab: Vocab, pieces: ReadonlyMap<string, number>): Joining {
  const size = vocab.tokens.length;
  const merges = new Map<number, number>();
  const results = new Int32Array(vocab.merges!.length);
  for (const [rank, merge] of vocab.merges!.entries()) {
    const space = merge.indexOf(" ", 1);
    const [left, right] = [merge.slice(0, space), merge.slice(space + 1)];
    const [l, r, both] = [left, right, left + right].map((text) => pieces.get(text));
    // Merges of what are no tokens could never be made, though they keep their rank.
    if (space < 0 || l === undefined || r === undefined || both === undefined) continue;
    results[rank] = both;
    const pair = l * size + r;
    if (!merges.has(pair)) merges.set(pair, rank);
  }
  const merger = new Merger({ rankOf: (rank) => rank, resultOf: (rank) => results[rank]! });
  return {
    merger,
    start: (character) => pieces.get(character) ?? NONE,
    find(left, right) {
      const [l, r] = [merger.ids[left]!, merger.ids[right]!];
      return l === NONE || r === NONE ? NONE : (merges.get(l * size + r) ?? NONE);
    },
  };
}
