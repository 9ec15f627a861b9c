import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { byteCharacter } from "./byte-alphabet.js";

/** Texts, one behind the other: where each begins, and where the last ends. */
export interface Texts {
  readonly units: Uint16Array;
  readonly starts: Int32Array;
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const NO_DIGIT = 64;

/** What each UTF-16 unit stands for in base64. */
const DIGITS = new Uint8Array(1 << 16).fill(NO_DIGIT);
for (let i = 0; i < BASE64.length; i++) DIGITS[BASE64.charCodeAt(i)] = i;

/** The byte alphabet's characters. */
const SPELLED = Uint16Array.from({ length: 256 }, (_, byte) => byteCharacter(byte).charCodeAt(0));

const UTF16 = new TextDecoder("utf-16le", { ignoreBOM: true });

const [LINE_FEED, RETURN, SPACE, ZERO, EQUALS] = [10, 13, 32, 48, 61];

/**
 * The tokens of a tiktoken rank file, in order of rank and in the byte alphabet: a line `base64 rank` for each. `name` is the file,
 * for messages.
 * @throws LlqError `bad-input` for a line that is not the token of its rank
 */
export function parseRanks(name: string, text: string): Texts {
  const end = text.trimEnd().length;
  const units = new Uint16Array(end); // a byte takes more than a character of base64
  let starts = new Int32Array(1 << 17);
  let rank = 0;
  let to = 0;
  for (let at = 0; rank === 0 || at < end; ) {
    const line = at;
    let bits = 0;
    for (; ; at++) {
      const digit = at < end ? DIGITS[text.charCodeAt(at)]! : NO_DIGIT;
      if (digit === NO_DIGIT) break;
      bits = ((bits << 6) | digit) & 0xffff;
      const left = 2 * ((at - line) & 3); // bits of the byte that is complete now are above these
      if (left > 0) units[to++] = SPELLED[(bits >> (6 - left)) & 0xff]!;
    }
    const padding = at;
    while (at < end && at < padding + 2 && text.charCodeAt(at) === EQUALS) at++;
    const space = at++;
    let number = 0;
    for (; at < end; at++) {
      const digit = text.charCodeAt(at) - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      number = 10 * number + digit;
    }
    const isRank = padding > line && at > space + 1 && text.charCodeAt(space) === SPACE && number === rank;
    if (at < end && text.charCodeAt(at) === RETURN) at++;
    if (!isRank || (at < end && text.charCodeAt(at++) !== LINE_FEED)) throw notOfRank(name, text, line, rank);
    if (rank + 1 === starts.length) {
      const larger = new Int32Array(2 * starts.length);
      larger.set(starts);
      starts = larger;
    }
    starts[++rank] = to;
  }
  return { units: units.subarray(0, to), starts: starts.subarray(0, rank + 1) };
}

function notOfRank(name: string, text: string, start: number, rank: number): Error {
  const [line = ""] = text.slice(start).trimEnd().split(/\r?\n/, 1);
  return badInput(
    t`${name}: line ${rank + 1} is not a token and rank ${rank}: ${JSON.stringify(line.slice(0, 80))}`,
  );
}

/** Each of the texts as a string. */
export function stringsOf({ units, starts }: Texts): string[] {
  const all = stringOf(units);
  const strings: string[] = new Array(starts.length - 1);
  for (let i = 0; i + 1 < starts.length; i++) strings[i] = all.slice(starts[i], starts[i + 1]);
  return strings;
}

function stringOf(units: Uint16Array): string {
  const text = UTF16.decode(units);
  if (!text.includes("\ufffd")) return text;
  // half a surrogate pair, perhaps, which a decoder replaces
  let exact = "";
  for (let at = 0; at < units.length; at += 1024) {
    exact += String.fromCharCode(...units.subarray(at, at + 1024));
  }
  return exact;
}

/** The texts, and others behind them. */
export function withTexts({ units, starts }: Texts, strings: readonly string[]): Texts {
  const more = strings.join("");
  const all = {
    units: new Uint16Array(units.length + more.length),
    starts: new Int32Array(starts.length + strings.length),
  };
  all.units.set(units);
  for (let i = 0; i < more.length; i++) all.units[units.length + i] = more.charCodeAt(i);
  all.starts.set(starts);
  for (let i = 0, at = starts.length; i < strings.length; i++, at++)
    all.starts[at] = all.starts[at - 1]! + strings[i]!.length;
  return all;
}
