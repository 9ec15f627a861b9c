/** Merges by the token that each makes, and how many UTF-16 units of it are the left part's; results ascend. The first is made first. */
export interface MergeList {
  readonly results: Int32Array;
  readonly seams: Int32Array;
}

/** `left right` for each, of the tokens' texts. */
export function spellMergeList({ results, seams }: MergeList, tokens: readonly string[]): string[] {
  return Array.from(results, (result, i) => {
    const text = tokens[result]!;
    return `${text.slice(0, seams[i])} ${text.slice(seams[i])}`;
  });
}
