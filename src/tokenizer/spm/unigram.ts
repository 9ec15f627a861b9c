import { encodeUtf8, utf8Length } from "#host/bytes";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { addedIds } from "../added.js";
import { NONE } from "../bpe/merger.js";
import { IdList } from "../ids.js";
import { textStart } from "../special.js";
import { TOKEN_TYPE, type Tokenizer, type Vocab } from "../types.js";
import { createFolderText } from "./folder-text.js";
import { createNormalizer } from "./normalize.js";
import { byteIds, decodePieces, width } from "./pieces.js";
import { Trie } from "./trie.js";
import { readWhiteSpace, SPELLED_WHITE_SPACE } from "./white-space.js";

/**
 * SentencePiece's unigram model: of all ways to cut a text into pieces the one with the largest sum of scores,
 * found by Viterbi's algorithm. A character that is no piece costs 10 more than the worst piece, and is spelled
 * in byte tokens; where a vocabulary has none, a run of such characters is one unknown token.
 * @throws LlqError `bad-input` for a vocabulary that cannot encode every text
 */
export function createUnigramTokenizer(vocab: Vocab): Tokenizer {
  const encoder = new UnigramEncoder(vocab);
  const normalize = createNormalizer(vocab);
  const fragmentsOf =
    vocab.rules === undefined
      ? (text: string) => [normalize(text, true)]
      : createFolderText(vocab, vocab.rules);
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
    decode(ids) {
      const text = decodePieces(vocab, ids);
      return vocab.pre === SPELLED_WHITE_SPACE ? readWhiteSpace(text) : text;
    },
  };
}

const UNKNOWN_PENALTY = 10;

class UnigramEncoder {
  readonly #pieces = new Trie();
  readonly #scores: Float64Array;
  readonly #unknownScore: number;
  readonly #unknown: number;
  readonly #byteIds: Int32Array | undefined;

  constructor(vocab: Vocab) {
    const { NORMAL, USER_DEFINED } = TOKEN_TYPE;
    const scores = vocab.scores!;
    const added = addedIds(vocab);
    let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const [id, text] of vocab.tokens.entries()) {
      const type = vocab.types[id];
      if ((type === NORMAL || type === USER_DEFINED) && text !== "" && !added.has(id))
        this.#pieces.set(text, id);
      if (type !== NORMAL) continue;
      min = Math.min(min, scores[id]!);
      max = Math.max(max, scores[id]!);
    }
    // sentencepiece's bonus for a user-defined piece: as if each of its bytes were the best piece.
    this.#scores = Float64Array.from(vocab.tokens, (text, id) =>
      vocab.types[id] === USER_DEFINED ? Math.fround(utf8Length(text) * max) - 0.1 : scores[id]!,
    );
    this.#unknownScore = Math.fround(min - UNKNOWN_PENALTY);
    this.#byteIds = byteIds(vocab);
    if (this.#byteIds === undefined && vocab.special.unk === undefined) {
      throw badInput(t`the vocabulary has neither the 256 byte tokens nor an unknown token`);
    }
    this.#unknown = vocab.special.unk ?? NONE;
  }

  encode(text: string, out: IdList): void {
    // For each place in the text: the best sum of a way there, and that way's last piece. Sums are rounded to
    // f32 as in sentencepiece, where that decides between equals such as "▁ ▁▁" and "▁▁ ▁".
    const best = new Float32Array(text.length + 1);
    const from = new Int32Array(text.length + 1).fill(NONE);
    const piece = new Int32Array(text.length + 1);
    const offer = (start: number, end: number, id: number, score: number) => {
      const sum = Math.fround(best[start]! + score);
      if (from[end] !== NONE && sum <= best[end]!) return;
      best[end] = sum;
      from[end] = start;
      piece[end] = id;
    };
    for (let start = 0; start < text.length; ) {
      const next = start + width(text.codePointAt(start)!);
      let known = false;
      let node = 0;
      for (let end = start; end < text.length; ) {
        node = this.#pieces.step(node, text.charCodeAt(end++));
        if (node === NONE) break;
        const id = this.#pieces.value(node);
        if (id === NONE) continue;
        offer(start, end, id, this.#scores[id]!);
        known ||= end === next;
      }
      if (!known) offer(start, next, NONE, this.#unknownScore);
      start = next;
    }
    this.#trace(text, from, piece, out);
  }

  /** Follows the best way back, and puts out its pieces from the front. */
  #trace(text: string, from: Int32Array, piece: Int32Array, out: IdList): void {
    const ends: number[] = [];
    for (let end = text.length; end > 0; end = from[end]!) ends.push(end);
    let afterUnknown = false;
    for (const end of ends.reverse()) {
      const id = piece[end]!;
      if (id !== NONE) out.push(id);
      else if (this.#byteIds !== undefined) {
        for (const byte of encodeUtf8(text.slice(from[end]!, end))) out.push(this.#byteIds[byte]!);
      } else if (!afterUnknown) out.push(this.#unknown);
      afterUnknown = id === NONE;
    }
  }
}
