// JSON read from its bytes, where objects of it all would take most of the time: long tables of texts.

const [TAB, LINE_FEED, RETURN, SPACE] = [9, 10, 13, 32];
const [QUOTE, COMMA, ZERO, BACKSLASH, LOWER_U] = [0x22, 0x2c, 0x30, 0x5c, 0x75];
const [BRACKET, BRACKET_END, BRACE, BRACE_END] = [0x5b, 0x5d, 0x7b, 0x7d];

/** What there is no such JSON for, or none that is read here. */
export const NO_JSON = -1;

/** UTF-16 units by the letter behind a backslash. */
const ESCAPES = new Uint8Array(128);
for (const [letter, unit] of ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"])
  ESCAPES[letter!.charCodeAt(0)] = unit!.charCodeAt(0);

/** Goes through JSON, and says where it finds something else than it was asked for. Nothing is thrown. */
export class JsonBytes {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next byte that is no white space; NO_JSON at the end. */
  peek(): number {
    const bytes = this.#bytes;
    let { at } = this;
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte > SPACE || (byte !== SPACE && byte !== LINE_FEED && byte !== RETURN && byte !== TAB)) {
        this.at = at;
        return byte;
      }
    }
    this.at = at;
    return NO_JSON;
  }

  /** Goes on behind the next byte if that is `byte`. */
  take(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.at++;
    return true;
  }

  /**
   * Writes the UTF-16 units of the text that comes next to `units`, from `to` on.
   * @returns where they end; NO_JSON for what is no text, none of UTF-8, or longer than there is room for
   */
  text(units: Uint16Array, to: number): number {
    if (!this.take(QUOTE)) return NO_JSON;
    const bytes = this.#bytes;
    let { at } = this;
    const last = units.length - 2; // a character takes at most two
    while (at < bytes.length) {
      const byte = bytes[at++]!;
      if (byte === QUOTE) {
        this.at = at;
        return to;
      }
      if (to > last) return NO_JSON;
      if (byte < 0x80) {
        let unit = byte;
        if (byte === BACKSLASH) {
          const letter = bytes[at++]!;
          unit = letter === LOWER_U ? this.#hex(at) : ESCAPES[letter & 0x7f]!;
          if (unit < 0 || letter >= 0x80 || (unit === 0 && letter !== LOWER_U)) return NO_JSON;
          if (letter === LOWER_U) at += 4;
        } else if (byte < SPACE) return NO_JSON;
        units[to++] = unit;
      } else if (byte < 0xe0) {
        const next = bytes[at++]!;
        if (byte < 0xc2 || (next & 0xc0) !== 0x80) return NO_JSON;
        units[to++] = ((byte & 0x1f) << 6) | (next & 0x3f);
      } else {
        const code = this.#code(byte, at);
        if (code === NO_JSON) return NO_JSON;
        at += code < 0x10000 ? 2 : 3;
        if (code < 0x10000) units[to++] = code;
        else {
          units[to++] = 0xd7c0 + (code >> 10);
          units[to++] = 0xdc00 | (code & 0x3ff);
        }
      }
    }
    return NO_JSON;
  }

  /** The whole number from 0 on that comes next, if nothing belongs to it but its digits. */
  integer(): number {
    const first = this.peek() - ZERO;
    if (!(first >= 0 && first <= 9)) return NO_JSON;
    let number = first;
    for (let digits = 1; ; digits++) {
      const digit = this.#bytes[++this.at]! - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      if (number === 0 || digits === 15) return NO_JSON;
      number = 10 * number + digit;
    }
    const next = this.peek();
    return next === COMMA || next === BRACE_END || next === BRACKET_END ? number : NO_JSON;
  }

  /** Goes on behind the next value, of which only texts and brackets are looked at. */
  skip(): boolean {
    const bytes = this.#bytes;
    this.peek();
    let depth = 0;
    for (; this.at < bytes.length; this.at++) {
      const byte = bytes[this.at]!;
      if (byte === QUOTE) {
        let at = this.at + 1;
        while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
        this.at = at;
      } else if (byte === BRACKET || byte === BRACE) {
        depth++;
        continue;
      } else if (byte === BRACKET_END || byte === BRACE_END) {
        if (depth === 0) return true;
        depth--;
      } else {
        if (byte === COMMA && depth === 0) return true;
        continue;
      }
      if (depth > 0) continue;
      this.at++;
      return true;
    }
    return false;
  }

  /** The number of four hexadecimal digits. */
  #hex(at: number): number {
    let number = 0;
    for (let i = at; i < at + 4; i++) {
      const byte = i < this.#bytes.length ? this.#bytes[i]! : 0;
      const letter = (byte | 0x20) - 0x61;
      const digit = letter >= 0 ? letter + 10 : byte - ZERO;
      if (digit < 0 || digit > 15 || (letter < 0 && digit > 9)) return NO_JSON;
      number = 16 * number + digit;
    }
    return number;
  }

  /** The character whose first byte is `byte`, of three or four, the others from `at` on. */
  #code(byte: number, at: number): number {
    const bytes = this.#bytes;
    const length = byte < 0xf0 ? 3 : 4;
    if (byte > 0xf4 || at + length - 1 > bytes.length) return NO_JSON;
    let code = byte & (length === 3 ? 0x0f : 0x07);
    for (let i = at; i < at + length - 1; i++) {
      if ((bytes[i]! & 0xc0) !== 0x80) return NO_JSON;
      code = (code << 6) | (bytes[i]! & 0x3f);
    }
    const isLong = code < (length === 3 ? 0x800 : 0x10000);
    return isLong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? NO_JSON : code;
  }
}
