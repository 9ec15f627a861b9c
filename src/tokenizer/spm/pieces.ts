import { concatBytes, decodeUtf8, encodeUtf8 } from "#host/bytes";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { NONE } from "../bpe/merger.js";
import { byteOfTokenText, SPACE, TOKEN_TYPE, type Vocab } from "../types.js";

/**
 * The text of SentencePiece's pieces. Byte tokens are put together first, so that they may spell a character;
 * the space that encoding puts in front of a text, and after a token that stands for itself, is taken away.
 * @throws LlqError `bad-input` for an id out of range
 */
export function decodePieces(vocab: Vocab, ids: ArrayLike<number>): string {
  const parts: Uint8Array[] = [];
  let afterToken = true;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    const text = tokenText(vocab, id);
    switch (vocab.types[id]) {
      case TOKEN_TYPE.CONTROL:
      case TOKEN_TYPE.UNKNOWN:
        break;
      case TOKEN_TYPE.USER_DEFINED:
        parts.push(encodeUtf8(text));
        afterToken = true;
        break;
      case TOKEN_TYPE.BYTE:
        parts.push(Uint8Array.of(byteOfTokenText(text) ?? 0));
        afterToken = false;
        break;
      default: {
        const prefixed = vocab.addSpacePrefix && afterToken && text.startsWith(SPACE);
        parts.push(encodeUtf8(text.slice(prefixed ? 1 : 0).replaceAll(SPACE, " ")));
        afterToken = false;
      }
    }
  }
  return decodeUtf8(concatBytes(parts));
}

/** @throws LlqError `bad-input` for an id out of range */
export function tokenText(vocab: Vocab, id: number): string {
  const text = vocab.tokens[id];
  if (text === undefined) throw badInput(t`token ${id} is not in a vocabulary of ${vocab.tokens.length}`);
  return text;
}

/** UTF-16 units of a character. */
export function width(character: number): number {
  return character > 0xffff ? 2 : 1;
}

/** The id of each byte's token, if a vocabulary has them all. */
export function byteIds(vocab: Vocab): Int32Array | undefined {
  const ids = new Int32Array(256).fill(NONE);
  for (const [id, text] of vocab.tokens.entries()) {
    if (vocab.types[id] === TOKEN_TYPE.BYTE) ids[byteOfTokenText(text) ?? badByteToken(text)] = id;
  }
  return ids.includes(NONE) ? undefined : ids;
}

function badByteToken(text: string): never {
  throw badInput(t`byte token ${JSON.stringify(text)} is not of the form <0x0A>`);
}
