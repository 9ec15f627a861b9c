import { concatBytes, decodeUtf8, encodeUtf8 } from "#host/bytes";
import { addedIds, addedSplitter } from "../added.js";
import { PieceCache } from "../cache.js";
import { type Fragment, userDefinedSplitter } from "../fragments.js";
import { IdList } from "../ids.js";
import { textStart } from "../special.js";
import { tokenText } from "../spm/pieces.js";
import { TOKEN_TYPE, type Tokenizer, type Vocab } from "../types.js";
import { byteCharacter, bytesOf, spellBytes } from "./byte-alphabet.js";
import { Merger, NONE } from "./merger.js";
import { listedMerges, type PairMerges, rankedMerges, seamedMerges } from "./merges.js";
import { createSplitter, type PreTokenizer, preTokenizer } from "./pretokenize.js";
import { NO_TOKEN, TokenIndex } from "./token-index.js";

/**
 * Byte-level BPE: the text is cut into pieces, mostly words; in each, starting from single bytes, the two
 * neighbours that stand first in the list of merges are joined until none do.
 * @throws LlqError `unsupported` for a pre-tokenizer that is not known
 */
export function createBpeTokenizer(vocab: Vocab): Tokenizer {
  const rules = preTokenizer(vocab.pre);
  const encoder = new BpeEncoder(vocab, rules);
  const split = createSplit(vocab, rules.nfc ?? false);
  return {
    encode(text, { addBos = vocab.addBos } = {}) {
      const ids = new IdList();
      if (addBos) for (const id of textStart(vocab.special)) ids.push(id);
      for (const fragment of split(text)) {
        if (typeof fragment === "number") ids.push(fragment);
        else encoder.encode(fragment, ids);
      }
      return ids.toArray();
    },
    decode: (ids) => decodeBpe(vocab, ids),
  };
}

/** Fragments of a text between tokens that stand for themselves, in the normal form that is asked for. */
function createSplit(vocab: Vocab, nfc: boolean): (text: string) => Fragment[] {
  const { rules } = vocab;
  const normal = (text: string, isNfc: boolean) => (isNfc ? text.normalize("NFC") : text);
  if (rules === undefined) {
    const split = userDefinedSplitter(vocab);
    return (text) => split(text).map((each) => (typeof each === "string" ? normal(each, nfc) : each));
  }
  const splitText = addedSplitter(rules.matched.filter(({ normalized }) => !normalized));
  const splitNormal = addedSplitter(
    rules.matched
      .filter(({ normalized }) => normalized)
      .map((token) => ({ ...token, content: normal(token.content, rules.nfc) })),
  );
  return (text) =>
    splitText(text).flatMap((each) =>
      typeof each === "string" ? splitNormal(normal(each, rules.nfc)) : [each],
    );
}

class BpeEncoder {
  readonly #tokens: TokenIndex;
  readonly #byteIds: Int32Array;
  readonly #merges: PairMerges;
  readonly #merger: Merger;
  readonly #cache = new PieceCache();
  readonly #splitText: (text: string) => string[];
  readonly #ignoreMerges: boolean;

  constructor(vocab: Vocab, rules: PreTokenizer) {
    const { ranked, listed } = vocab;
    this.#tokens = ranked?.index ?? listed?.index ?? TokenIndex.of(vocab.tokens, addedIds(vocab));
    this.#byteIds = Int32Array.from({ length: 256 }, (_, byte) => this.#tokens.get(byteCharacter(byte)));
    this.#splitText = createSplitter(rules);
    this.#ignoreMerges = vocab.rules?.ignoreMerges ?? rules.ignoreMerges ?? false;
    this.#merges =
      (ranked && rankedMerges(ranked.index, ranked.ranks)) ??
      (listed && seamedMerges(listed.index, listed.merges)) ??
      listedMerges(vocab.merges!, this.#tokens);
    this.#merger = new Merger(this.#merges);
  }

  encode(text: string, out: IdList): void {
    for (const piece of this.#splitText(text)) {
      let ids = this.#cache.get(piece);
      if (ids === undefined) {
        ids = this.#encodePiece(piece);
        this.#cache.set(piece, ids);
      }
      out.append(ids);
    }
  }

  #encodePiece(piece: string): Int32Array {
    const bytes = encodeUtf8(piece);
    const whole = this.#ignoreMerges ? this.#tokens.get(spellBytes(bytes)) : NO_TOKEN;
    if (whole !== NO_TOKEN) return Int32Array.of(whole);
    const merger = this.#merger;
    merger.clear();
    for (const byte of bytes) {
      const id = this.#byteIds[byte]!;
      if (id !== NONE) merger.add(id); // a byte without a token is lost, as in llama.cpp
    }
    merger.merge((left, right) => this.#merges.find(merger.ids[left]!, merger.ids[right]!));
    const ids = new IdList();
    for (let i = 0; i < merger.count; i = merger.next[i]!) ids.push(merger.ids[i]!);
    return ids.toArray();
  }
}

/** The text of byte-level tokens; what is no spelling of bytes stands for itself. */
export function decodeBpe(vocab: Vocab, ids: ArrayLike<number>): string {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < ids.length; i++) {
    const text = tokenText(vocab, ids[i]!);
    const type = vocab.types[ids[i]!];
    if (type === TOKEN_TYPE.CONTROL || type === TOKEN_TYPE.UNKNOWN) continue;
    const bytes = type === TOKEN_TYPE.USER_DEFINED ? undefined : bytesOf(text);
    parts.push(bytes ?? encodeUtf8(text));
  }
  return decodeUtf8(concatBytes(parts));
}
