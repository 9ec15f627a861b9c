import { addedSplitter } from "../added.js";
import { type FolderRules, SPACE, type Vocab } from "../types.js";
import { createNormalizer } from "./normalize.js";

/**
 * What a folder's tokenizer.json does to a text before it looks for pieces: fragments of it ready for that, and added
 * tokens between them. Tokens are looked for in the text as it is, and others in what the normalizer makes of it.
 */
export function createFolderText(vocab: Vocab, rules: FolderRules): (text: string) => (string | number)[] {
  const { addSpacePrefix, removeExtraWhitespaces } = vocab;
  const replace = createNormalizer({ ...vocab, addSpacePrefix: false });
  const spaced = (text: string) => (rules.escapes || removeExtraWhitespaces ? replace(text, false) : text);
  const prepended = addSpacePrefix && rules.prefix === "normalizer";
  const normalize = (text: string) => (prepended && text !== "" ? SPACE : "") + spaced(text);
  const splitText = addedSplitter(rules.matched.filter(({ normalized }) => !normalized));
  const splitNormal = addedSplitter(
    rules.matched
      .filter(({ normalized }) => normalized)
      .map((token) => ({ ...token, content: normalize(token.content) })),
  );
  const prepare = (normal: string, isStart: boolean) => {
    const text = rules.escapes ? normal : replace(normal, false);
    if (!addSpacePrefix || prepended || text === "" || text.startsWith(SPACE)) return text;
    return rules.prefix === "start" && !isStart ? text : SPACE + text;
  };
  return (text) =>
    splitText(text).flatMap((raw, i) => {
      if (typeof raw === "number") return [raw];
      return splitNormal(normalize(raw)).map((each, j) =>
        typeof each === "number" ? each : prepare(each, i === 0 && j === 0),
      );
    });
}
