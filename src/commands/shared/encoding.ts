import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";

/** A text, and how it was read if not as it stands. */
export interface DecodedText {
  readonly text: string;
  readonly remarks: readonly string[];
}

/**
 * Text as UTF-8, UTF-16 or GB18030 has it, without a byte-order mark, and with the line ends of other texts. llama.cpp's
 * tools take every byte as it is, so whatever is changed is said.
 * @param name for messages
 * @throws LlqError `bad-input` for any other encoding
 */
export function decodeText(name: string, bytes: Uint8Array): DecodedText {
  const remarks: string[] = [];
  const [encoding, why] = encodingOf(bytes) ?? [];
  let text = encoding && decodes(encoding, bytes);
  if (text === undefined) {
    throw badInput(
      t`${name}: not UTF-8 text, nor UTF-16 or GB18030`,
      t`iconv -f ISO-8859-1 -t UTF-8 ${name} > utf8.txt, with the encoding that it has`,
    );
  }
  if (why !== undefined) remarks.push(t`${why}, and is read as that; as UTF-8 it would have other bytes`);
  if (text.startsWith("\ufeff")) {
    text = text.slice(1);
    if (why === undefined) remarks.push(t`begins with a byte-order mark, which is left out`);
  }
  if (/\r\n/.test(text) && !/(?<!\r)\n/.test(text)) {
    text = text.replaceAll("\r\n", "\n");
    remarks.push(t`has lines that end in CR LF, which are read as LF`);
  }
  return { text, remarks };
}

/** The encoding, and what is to be said of one that is not UTF-8; undefined for none that is known. */
function encodingOf(bytes: Uint8Array): readonly [encoding: string, why?: string] | undefined {
  const [a, b] = bytes;
  if (a === 0xff && b === 0xfe) return ["utf-16le", t`is UTF-16 (little-endian)`];
  if (a === 0xfe && b === 0xff) return ["utf-16be", t`is UTF-16 (big-endian)`];
  const [even, odd] = zeros(bytes);
  if (odd > 0.3 && even < 0.01) return ["utf-16le", t`is UTF-16 (little-endian) without a byte-order mark`];
  if (even > 0.3 && odd < 0.01) return ["utf-16be", t`is UTF-16 (big-endian) without a byte-order mark`];
  if (decodes("utf-8", bytes) !== undefined) return ["utf-8"];
  const chinese = decodes("gb18030", bytes);
  return chinese !== undefined && isChinese(chinese) ? ["gb18030", t`is GB18030 (or GBK)`] : undefined;
}

/** Bytes looked at. */
const LOOKED_AT = 4096;

/** Share of zeros among bytes at even and at odd places: half of UTF-16's in a text of Latin letters. */
function zeros(bytes: Uint8Array): [even: number, odd: number] {
  const counts: [number, number] = [0, 0];
  const length = Math.min(bytes.length, LOOKED_AT);
  for (let i = 0; i < length; i++) if (bytes[i] === 0) counts[i & 1]!++;
  return [counts[0] / Math.max(1, length / 2), counts[1] / Math.max(1, length / 2)];
}

function decodes(encoding: string, bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Characters that any Chinese text has many of: a sixth or so are these. */
const COMMONEST = /[的一是不了在人有我他这中大来上国个到说们为子和你地出道也时要就下以生会可]/gu;

/** Texts of other encodings decode as GB18030 too, Korean into nothing but ideographs: this one reads as Chinese. */
function isChinese(text: string): boolean {
  const others =
    text
      .slice(0, 1 << 20)
      .match(/\P{ASCII}/gu)
      ?.join("") ?? "";
  const chinese = others.match(/[\u4e00-\u9fa5\u3000-\u303f\uff00-\uffef“”‘’—…·]/gu)?.length ?? 0;
  const commonest = others.match(COMMONEST)?.length ?? 0;
  return others !== "" && chinese >= 0.9 * others.length && commonest >= 0.06 * others.length;
}
