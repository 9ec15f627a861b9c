import { utf8Length } from "#host/bytes";
import { TOKEN_TYPE, type Vocab } from "./types.js";

/** A piece of text still to be encoded, or a token found in it. */
export type Fragment = string | number;

/** Splits a text at the user-defined tokens of a vocabulary, which stand for themselves wherever they occur. */
export function userDefinedSplitter(vocab: Vocab): (text: string) => Fragment[] {
  return tokenSplitter(vocab, [TOKEN_TYPE.USER_DEFINED]);
}

/**
 * Splits a text at what is written like a token of such a type. As in llama.cpp the longest token is looked for in the
 * whole text before the next: it is not a scan from the left.
 */
export function tokenSplitter(vocab: Vocab, types: readonly number[]): (text: string) => Fragment[] {
  const byteLength = (id: number) => utf8Length(vocab.tokens[id]!);
  const wanted: number[] = [];
  for (let id = 0; id < vocab.types.length; id++) {
    if (types.includes(vocab.types[id]!) && vocab.tokens[id] !== "") wanted.push(id);
  }
  wanted.sort((a, b) => byteLength(b) - byteLength(a));
  return (text) => {
    let fragments: Fragment[] = text === "" ? [] : [text];
    for (const id of wanted) {
      if (!text.includes(vocab.tokens[id]!)) continue;
      fragments = fragments.flatMap((each) =>
        typeof each === "string" ? splitAt(each, vocab.tokens[id]!, id) : each,
      );
    }
    return fragments;
  };
}

function splitAt(text: string, token: string, id: number): Fragment[] {
  return text
    .split(token)
    .flatMap((part, i) => (i === 0 ? [part] : [id, part]))
    .filter((part) => part !== "");
}
