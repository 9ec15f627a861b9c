// What the harness does with texts, in Python's ways.

/** What it takes as the answer where a pattern is not found. */
export const INVALID = "[invalid]";

/** Python's string.punctuation. */
const PUNCTUATION = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]/g;

export function withoutPunctuation(text: string): string {
  return text.replace(PUNCTUATION, "");
}

/** The first or last place where a pattern is found: its first group that is not empty, without white space around it. */
export function found(text: string, pattern: RegExp, which: "first" | "last"): string {
  const match = which === "first" ? text.matchAll(pattern).next().value : [...text.matchAll(pattern)].at(-1);
  if (match === undefined) return INVALID;
  const groups = match.length > 1 ? match.slice(1) : [match[0]];
  return (groups.length > 1 ? groups.find((group) => group) : groups[0])?.trim() ?? INVALID;
}

export const equals = (answer: string, gold: readonly string[]) => gold.includes(answer);
