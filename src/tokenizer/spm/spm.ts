import { encodeUtf8 } from "#host/bytes";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { addedIds } from "../added.js";
import { NONE } from "../bpe/merger.js";
import { PieceCache } from "../cache.js";
import { type Fragment, userDefinedSplitter } from "../fragments.js";
import { IdList } from "../ids.js";
import { textStart } from "../special.js";
import { TOKEN_TYPE, type Tokenizer, type Vocab } from "../types.js";
import { createFolderText } from "./folder-text.js";
import { type Joining, joiningByMerges, joiningByScores } from "./joining.js";
import { Neighbours } from "./neighbours.js";
import { createNormalizer } from "./normalize.js";
import { byteIds, decodePieces, width } from "./pieces.js";

/**
 * SentencePiece BPE: starting from single characters, the two neighbours whose concatenation is the piece of
 * highest score are joined, the leftmost first among equals, until no two neighbours make a piece; or, where the
 * vocabulary lists merges, the two that stand first in it. A character that is no piece then is spelled in byte tokens;
 * where a vocabulary has none, a run of such characters is one unknown token.
 *
 * Control, unknown, byte and unused tokens are never made by joining by scores; llama.cpp can be led to make them.
 * @throws LlqError `bad-input` for a vocabulary that cannot encode every text
 */
export function createSpmTokenizer(vocab: Vocab): Tokenizer {
  const encoder = new SpmEncoder(vocab);
  const fragmentsOf = createText(vocab);
  return {
    encode(text, { addBos = vocab.addBos } = {}) {
      const ids = new IdList();
      if (addBos) for (const id of textStart(vocab.special)) ids.push(id);
      for (const fragment of fragmentsOf(text)) {
        if (typeof fragment === "number") ids.push(fragment);
        else encoder.encode(fragment, ids);
      }
      return ids.toArray();
    },
    decode: (ids) => decodePieces(vocab, ids),
  };
}

/** Normalized fragments of a text, and tokens that stand for themselves. */
function createText(vocab: Vocab): (text: string) => Fragment[] {
  if (vocab.rules !== undefined) return createFolderText(vocab, vocab.rules);
  if (vocab.kind === "pieceBpe") return createLines(vocab);
  const normalize = createNormalizer(vocab);
  const split = userDefinedSplitter(vocab);
  return (text) => {
    let afterToken = true; // as in llama.cpp, the text behind a user-defined token is prefixed again
    return split(text).map((fragment) => {
      const prefixed = afterToken;
      afterToken = typeof fragment === "number";
      return typeof fragment === "number" ? fragment : normalize(fragment, prefixed);
    });
  };
}

/** llama.cpp's text for merges: lines, and runs of their ends, which may be a token as a whole. */
function createLines(vocab: Vocab): (text: string) => Fragment[] {
  const ids = new Map(vocab.tokens.map((text, id) => [text, id]));
  const normalize = createNormalizer(vocab);
  const split = userDefinedSplitter(vocab);
  return (text) =>
    split(text).flatMap((fragment) => {
      if (typeof fragment === "number") return [fragment];
      const lines = fragment.match(/\n+|[^\n]+/g) ?? [];
      return lines.map((line) => (line.startsWith("\n") ? (ids.get(line) ?? line) : normalize(line, true)));
    });
}

class SpmEncoder {
  /** Tokens that joining may make. */
  readonly #pieces = new Map<string, number>();
  readonly #byteIds: Int32Array | undefined;
  readonly #unknown: number | undefined;
  readonly #fuseUnknown: boolean;
  readonly #neighbours = new Neighbours();
  readonly #cache = new PieceCache();
  readonly #joining: Joining;

  constructor(vocab: Vocab) {
    const { NORMAL, USER_DEFINED } = TOKEN_TYPE;
    const added = addedIds(vocab);
    for (const [id, text] of vocab.tokens.entries()) {
      const type = vocab.types[id];
      const isMade = vocab.kind === "pieceBpe" || type === NORMAL || type === USER_DEFINED;
      if (!isMade || added.has(id)) continue;
      this.#pieces.set(text, id);
      this.#neighbours.add(text);
    }
    this.#byteIds = byteIds(vocab);
    this.#unknown = vocab.special.unk;
    this.#fuseUnknown = vocab.rules?.fuseUnknown ?? true;
    if (this.#byteIds === undefined && this.#unknown === undefined) {
      throw badInput(t`the vocabulary has neither the 256 byte tokens nor an unknown token`);
    }
    const joining = vocab.kind === "pieceBpe" ? joiningByMerges : joiningByScores;
    this.#joining = joining(vocab, this.#pieces);
  }

  /**
   * No piece reaches over two characters that stand side by side in none. Cut there, a text falls into short
   * segments that come again and again, mostly words.
   */
  encode(text: string, out: IdList): void {
    let start = 0;
    let left = text.codePointAt(0) ?? 0;
    for (let i = width(left); i < text.length; ) {
      const right = text.codePointAt(i)!;
      if (!this.#neighbours.has(left, right)) {
        this.#append(this.#encodeSegment(text.slice(start, i)), out);
        start = i;
      }
      left = right;
      i += width(right);
    }
    if (start < text.length) this.#append(this.#encodeSegment(text.slice(start)), out);
  }

  /** A run of unknown characters is one unknown token, but where the folder's tokenizer does otherwise. */
  #append(ids: Int32Array, out: IdList): void {
    const again = this.#fuseUnknown && ids[0] === this.#unknown && out.at(out.length - 1) === this.#unknown;
    out.append(again ? ids.subarray(1) : ids);
  }

  #encodeSegment(segment: string): Int32Array {
    let ids = this.#cache.get(segment);
    if (ids === undefined) {
      ids = this.#merge(segment);
      this.#cache.set(segment, ids);
    }
    return ids;
  }

  #merge(segment: string): Int32Array {
    const { merger, start, find } = this.#joining;
    const starts: number[] = [];
    merger.clear();
    for (let i = 0; i < segment.length; i += width(segment.codePointAt(i)!)) {
      starts.push(i);
      merger.add(start(String.fromCodePoint(segment.codePointAt(i)!)));
    }
    starts.push(segment.length);
    const text = (left: number, right: number) => segment.slice(starts[left], starts[merger.next[right]!]);
    merger.merge((left, right) => find(left, right, () => text(left, right)));
    const ids = new IdList();
    for (let i = 0; i < merger.count; i = merger.next[i]!) {
      const id = merger.ids[i]!;
      if (id !== NONE) ids.push(id);
      else this.#append(this.#encodeCharacter(text(i, i)), ids);
    }
    return ids.toArray();
  }

  /** A character that was joined with nothing. */
  #encodeCharacter(character: string): Int32Array {
    const id = this.#pieces.get(character);
    if (id !== undefined) return Int32Array.of(id);
    if (this.#byteIds === undefined) return Int32Array.of(this.#unknown!);
    return Int32Array.from(encodeUtf8(character), (byte) => this.#byteIds![byte]!);
  }
}
