import { decodeUtf8, isUtf8, latin1Of } from "#host/bytes";
import { t } from "../../src/language/t.js";
import type { ByteSource } from "../bytes.js";
import { type MetaField, nameProblem } from "../container.js";
import { badInput } from "../errors.js";

// With every expert apart a model has some 200,000 tensors in all its files. More only take memory.
const MAX_TENSORS = 2 ** 18;
/** As many as NumPy allows, and of all tensors together. */
const MAX_RANK = 64;
const MAX_DIMENSIONS = 2 ** 21;
const MAX_METADATA = 2 ** 16;

/** A tensor as the header describes it. */
export interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** First byte and the one after the last, from the start of the tensor data. */
  readonly begin: number;
  readonly end: number;
}

/** Where the header begins in the file. */
const START = 8;
const WINDOW = 1 << 20;
/** More than a whole number may have. */
const MAX_DIGITS = 400;

const OPEN = 0x7b;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

/**
 * The header's JSON, which is of one fixed form. JSON.parse would keep only the last of two equal keys, round
 * large integers, and nest without limit.
 */
export class HeaderParser {
  readonly #source: ByteSource;
  readonly #length: number;
  /** A window of the header: with all of it beside all names, a header of 100 MB would be in memory twice. */
  #json: Uint8Array = new Uint8Array(0);
  #latin1 = latin1Of(this.#json);
  /** Where in the header the window begins. */
  #start = 0;
  /** Where in the window to go on. */
  #at = 0;
  #dimensions = 0;

  constructor(source: ByteSource, length: number) {
    this.#source = source;
    this.#length = length;
    this.#fill(1);
  }

  /** Has at least `count` bytes in the window from #at, or all there are. */
  #fill(count: number): void {
    const at = this.#start + this.#at;
    const left = this.#length - at;
    if (Math.min(count, left) <= this.#json.length - this.#at) return;
    const bytes = this.#source.read(START + at, Math.min(Math.max(count, WINDOW), left));
    this.#json = bytes;
    this.#latin1 = latin1Of(bytes);
    this.#start = at;
    this.#at = 0;
  }

  parse(): { entries: Entry[]; metadata: Map<string, MetaField> } {
    const entries: Entry[] = [];
    const metadata = new Map<string, MetaField>();
    if (this.#json[0] !== OPEN) this.#fail(t`the header does not begin with {`, t`not a safetensors file?`);
    this.#object(t`the header`, (name) => {
      if (name === "__metadata__") {
        this.#object(name, (key) => {
          if (metadata.size === MAX_METADATA) this.#fail(t`metadata of more than ${MAX_METADATA} values`);
          metadata.set(key, { type: "string", value: this.#string() });
        });
      } else {
        if (entries.length === MAX_TENSORS) this.#fail(t`more than ${MAX_TENSORS} tensors`);
        entries.push(this.#entry(name));
      }
    });
    this.#space();
    if (this.#start + this.#at < this.#length) this.#fail(t`text after the header's closing }`);
    return { entries, metadata };
  }

  #entry(name: string): Entry {
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.#object(t`tensor ${name}`, (key) => {
      if (key === "dtype") dtype = this.#string();
      else if (key === "shape") shape = this.#integers();
      else if (key === "data_offsets") offsets = this.#integers();
      else this.#fail(t`tensor ${name} has unknown key ${key}`);
    });
    if (dtype === undefined || shape === undefined || offsets === undefined) {
      return this.#fail(t`tensor ${name} lacks dtype, shape or data_offsets`);
    }
    const [begin, end] = offsets;
    if (begin === undefined || end === undefined || offsets.length > 2) {
      return this.#fail(t`tensor ${name} has ${offsets.length} data_offsets, expected 2`);
    }
    return { name, dtype, shape, begin, end };
  }

  /** An object's keys, each different from the others; `member` reads what follows the colon. */
  #object(what: string, member: (key: string) => void): void {
    const few: string[] = []; // those of a tensor: 262,144 Sets would take more time and memory than all the rest
    let more: Set<string> | undefined;
    this.#expect("{");
    if (this.#accept("}")) return;
    do {
      const key = this.#string();
      const problem = nameProblem(key);
      if (problem !== undefined) this.#fail(t`a key of ${what} ${problem}`);
      if (few.includes(key) || more?.has(key)) this.#fail(t`${key} appears twice in ${what}`);
      if (few.length < 4) few.push(key);
      else more = (more ?? new Set()).add(key);
      this.#expect(":");
      member(key);
    } while (this.#accept(","));
    this.#expect("}");
  }

  #integers(): number[] {
    const values: number[] = [];
    this.#expect("[");
    if (this.#accept("]")) return values;
    do {
      if (values.length === MAX_RANK) this.#fail(t`more than ${MAX_RANK} numbers in an array`);
      if (this.#dimensions++ === MAX_DIMENSIONS) this.#fail(t`more than ${MAX_DIMENSIONS} numbers in arrays`);
      values.push(this.#integer());
    } while (this.#accept(","));
    this.#expect("]");
    return values.slice(); // what grew has room for 17
  }

  #integer(): number {
    this.#space();
    this.#fill(MAX_DIGITS);
    const start = this.#at;
    let value = 0;
    for (; isDigit(this.#json[this.#at]); this.#at++) value = value * 10 + this.#json[this.#at]! - 0x30;
    const digits = this.#at - start;
    const follows = this.#json[this.#at];
    const isWhole = digits === 1 || (digits > 1 && this.#json[start] !== 0x30);
    if (!isWhole || follows === 0x2e || follows === 0x65 || follows === 0x45) {
      this.#at = start;
      this.#fail(t`expected a whole number`);
    }
    if (Number.isSafeInteger(value)) return value;
    const shown = this.#latin1(start, Math.min(this.#at, start + 80));
    this.#at = start;
    return this.#fail(t`${shown} is too large for a size or an offset`);
  }

  #string(): string {
    this.#space();
    if (this.#json[this.#at] !== QUOTE) this.#fail(t`expected a string`);
    let length = 1;
    let isPlain = true;
    for (; ; length++) {
      if (this.#at + length >= this.#json.length) this.#fill(2 * length);
      const byte = this.#json[this.#at + length];
      if (byte === undefined || byte === QUOTE) break;
      if (byte === BACKSLASH) length++;
      isPlain &&= byte >= 0x20 && byte < 0x80 && byte !== BACKSLASH;
    }
    const start = this.#at;
    if (isPlain && start + length < this.#json.length) {
      this.#at += length + 1;
      return this.#latin1(start + 1, start + length);
    }
    const stored = this.#json.subarray(start, start + length + 1);
    if (!isUtf8(stored)) throw badInput(t`${this.#source.name}: the header is not valid UTF-8`);
    try {
      const value: string = JSON.parse(decodeUtf8(stored));
      this.#at += length + 1;
      return value;
    } catch {
      return this.#fail(t`not a valid JSON string`);
    }
  }

  #expect(character: string): void {
    if (!this.#accept(character)) this.#fail(t`expected ${character}`);
  }

  #accept(character: string): boolean {
    this.#space();
    if (this.#json[this.#at] !== character.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  /** Then the window has a byte more, if the header has. */
  #space(): void {
    for (;;) {
      if (this.#at === this.#json.length) this.#fill(1);
      const byte = this.#json[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #fail(message: string, hint = t`the header is damaged`): never {
    throw badInput(t`${this.#source.name}: byte ${START + this.#start + this.#at}: ${message}`, hint);
  }
}
