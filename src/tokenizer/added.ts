import type { Fragment } from "./fragments.js";
import type { MatchedToken, Vocab } from "./types.js";

const SPACES_BEFORE = /\p{White_Space}*$/u;
const SPACES_AFTER = /^\p{White_Space}*/u;
const WORD = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
const WORD_BEFORE = new RegExp(`${WORD}$`, "u");
const WORD_AFTER = new RegExp(`^${WORD}`, "u");

/**
 * Splits a text at added tokens as Hugging Face's tokenizers do (AddedVocabulary): from the left, the longest of those
 * that begin at a place. A token may take the white space beside it, or count as a whole word only.
 */
export function addedSplitter(tokens: readonly MatchedToken[]): (text: string) => Fragment[] {
  const byContent = new Map(
    tokens.filter(({ content }) => content !== "").map((each) => [each.content, each]),
  );
  const longestFirst = [...byContent.keys()].sort((a, b) => b.length - a.length);
  return (text) => {
    const present = longestFirst.filter((content) => text.includes(content));
    if (present.length === 0) return text === "" ? [] : [text];
    const fragments: Fragment[] = [];
    let done = 0;
    for (const { 0: content, index } of text.matchAll(new RegExp(present.map(escaped).join("|"), "gu"))) {
      const { id, singleWord, takesLeft, takesRight } = byContent.get(content)!;
      let [start, end] = [index, index + content.length];
      if (singleWord && (WORD_BEFORE.test(text.slice(0, start)) || WORD_AFTER.test(text.slice(end))))
        continue;
      if (takesLeft) start = Math.max(done, start - SPACES_BEFORE.exec(text.slice(done, start))![0].length);
      if (takesRight) end += SPACES_AFTER.exec(text.slice(end))![0].length;
      if (done < start) fragments.push(text.slice(done, start));
      fragments.push(id);
      done = end;
    }
    if (done < text.length) fragments.push(text.slice(done));
    return fragments;
  };
}

/** Tokens that a folder's tokenizer finds in the text, and never makes of others. */
export function addedIds({ rules }: Vocab): ReadonlySet<number> {
  return new Set(rules?.unmade);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
