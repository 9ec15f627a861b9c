// SentencePiece's precompiled_charsmap:  length of the trie in bytes u32 | trie, an array of u32 | replacements
// The trie is a double array (darts-clone) over UTF-8; a leaf's value is where its replacement starts, and a
// replacement ends with a zero byte.
//   bits of a node: 0-7 label, 8 has a leaf, 9 the offset is in 256s, 10-30 offset, 31 is a leaf

import { concatBytes, decodeUtf8, encodeUtf8 } from "#host/bytes";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";

const LEAF = 0x80000000;

/** The longest in Unicode has 33 bytes; a hostile table could make gigabytes of a text. */
const MAX_REPLACEMENT = 256;

/**
 * A function that replaces, from the left, the longest prefix that the table knows.
 * @throws LlqError `bad-input` for a table that contradicts itself, now or when it is used
 */
export function createCharsmap(table: Uint8Array): (text: string) => string {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const trieBytes = table.length >= 4 ? view.getUint32(0, true) : damaged();
  if (trieBytes % 4 !== 0 || trieBytes > table.length - 4) damaged();
  const trie = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const replacements = table.subarray(4 + trieBytes);
  const node = (index: number) => trie[index] ?? damaged();

  /** The longest match from `start` on: where it ends and where its replacement starts. */
  const longest = (bytes: Uint8Array, start: number): { end: number; value: number } | undefined => {
    let found: { end: number; value: number } | undefined;
    let at = childrenOf(0, node(0));
    for (let i = start; i < bytes.length; i++) {
      const byte = bytes[i]!;
      const unit = node((at ^ byte) >>> 0);
      if ((unit & (LEAF | 0xff)) >>> 0 !== byte) break;
      at = childrenOf(at ^ byte, unit);
      if ((unit & 0x100) !== 0) found = { end: i + 1, value: (node(at) & ~LEAF) >>> 0 };
    }
    return found;
  };

  return (text) => {
    const bytes = encodeUtf8(text);
    const parts: Uint8Array[] = [];
    let kept = 0; // from here on the text stands as it is
    for (let i = 0; i < bytes.length; ) {
      const match = longest(bytes, i);
      if (match === undefined) {
        i += characterLength(bytes[i]!);
        continue;
      }
      const end = replacements.indexOf(0, match.value);
      if (end < 0 || end - match.value > MAX_REPLACEMENT) damaged();
      parts.push(bytes.subarray(kept, i), replacements.subarray(match.value, end));
      i = kept = match.end;
    }
    parts.push(bytes.subarray(kept));
    return decodeUtf8(concatBytes(parts));
  };
}

function childrenOf(index: number, unit: number): number {
  return (index ^ ((unit >>> 10) << ((unit & 0x200) >>> 6))) >>> 0;
}

/** Bytes of a UTF-8 character by its first. */
function characterLength(first: number): number {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

function damaged(): never {
  throw badInput(t`the tokenizer's table of character replacements (precompiled_charsmap) is damaged`);
}
