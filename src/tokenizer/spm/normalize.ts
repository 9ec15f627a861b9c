import { SPACE, type Vocab } from "../types.js";
import { createCharsmap } from "./charsmap.js";
import { SPELLED_WHITE_SPACE, spellWhiteSpace } from "./white-space.js";

/**
 * What SentencePiece does to a text before it looks for pieces: characters are replaced, spaces at the ends and
 * in runs dropped, and one put in front (where `prefixed`), each if the vocabulary says so; spaces become `▁`.
 * @throws LlqError `bad-input` for a damaged table of replacements
 */
export function createNormalizer(vocab: Vocab): (text: string, prefixed: boolean) => string {
  const { precompiledCharsmap, removeExtraWhitespaces, addSpacePrefix } = vocab;
  const replace = precompiledCharsmap && createCharsmap(precompiledCharsmap);
  return (text, prefixed) => {
    const spelled = vocab.pre === SPELLED_WHITE_SPACE ? spellWhiteSpace(text) : text;
    let normal = replace === undefined ? spelled : replace(spelled);
    if (removeExtraWhitespaces) normal = normal.split(" ").filter(Boolean).join(" ");
    if (addSpacePrefix && prefixed && normal !== "") normal = ` ${normal}`;
    normal = normal.replaceAll(" ", SPACE);
    return removeExtraWhitespaces ? trimEnd(normal) : normal;
  };
}

/** A text's own `▁` at the end goes too, as in sentencepiece. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === SPACE) end--;
  return text.slice(0, end);
}
