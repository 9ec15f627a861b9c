import { bytesOf } from "../../tokenizer/bpe/byte-alphabet.js";
import { tokenText } from "../../tokenizer/spm/pieces.js";
import { readWhiteSpace, SPELLED_WHITE_SPACE } from "../../tokenizer/spm/white-space.js";
import { byteOfTokenText, SPACE, TOKEN_TYPE, type Vocab } from "../../tokenizer/types.js";

export interface DetokenizerOptions {
  /** Control and unknown tokens are spelled out instead of left out. */
  readonly special?: boolean | undefined;
  /** The tokens go on with a text: a space in front of the first is its own, and not the one that encoding put there. */
  readonly continues?: boolean | undefined;
}

/**
 * Text of tokens as they come, as the reference decoders have it: sentencepiece and Hugging Face's tokenizers, control
 * and unknown tokens skipped. Bytes that are the beginning of a character wait for its end; bytes that are no UTF-8
 * become U+FFFD, one for each longest part that could have begun a character (the references differ in their number).
 */
export class Detokenizer {
  readonly #vocab: Vocab;
  readonly #special: boolean;
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  /** A space that begins a piece is dropped while nothing stands before it. */
  #atStart: boolean;

  constructor(vocab: Vocab, { special = false, continues = false }: DetokenizerOptions = {}) {
    this.#vocab = vocab;
    this.#special = special;
    this.#atStart =
      !continues && vocab.kind !== "bpe" && (vocab.addSpacePrefix || vocab.removeExtraWhitespaces);
  }

  /** The text that is complete with this token. @throws LlqError `bad-input` for an id out of range */
  push(id: number): string {
    return this.#utf8.decode(this.#bytes(id), { stream: true });
  }

  /** What waited for the end of a character that does not come, as U+FFFD. */
  end(): string {
    return this.#utf8.decode();
  }

  #bytes(id: number): Uint8Array {
    const text = tokenText(this.#vocab, id);
    switch (this.#vocab.types[id]) {
      case TOKEN_TYPE.CONTROL:
      case TOKEN_TYPE.UNKNOWN:
        return this.#special ? this.#begun(text) : new Uint8Array();
      case TOKEN_TYPE.USER_DEFINED:
        return this.#begun(this.#spelled(text));
      case TOKEN_TYPE.BYTE:
        this.#atStart = false;
        return Uint8Array.of(byteOfTokenText(text) ?? 0);
      default:
        if (this.#vocab.kind === "bpe") return bytesOf(text) ?? Buffer.from(text);
        return this.#begun(this.#spelled(this.#piece(text)));
    }
  }

  #piece(text: string): string {
    const prefixed = this.#atStart && text.startsWith(SPACE);
    // where encoding drops all spaces in front, so does decoding; else the one that encoding puts there
    if (prefixed && !this.#vocab.removeExtraWhitespaces) this.#atStart = false;
    return (prefixed ? text.slice(1) : text).replaceAll(SPACE, " ");
  }

  #spelled(text: string): string {
    return this.#vocab.pre === SPELLED_WHITE_SPACE ? readWhiteSpace(text) : text;
  }

  #begun(text: string): Uint8Array {
    if (text !== "") this.#atStart = false;
    return Buffer.from(text);
  }
}
