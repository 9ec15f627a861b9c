import { encodeUtf8 } from "#host/bytes";
import { t } from "../src/language/t.js";
import { badInput, LlqError } from "./errors.js";
import { refuseImpostor } from "./impostors.js";

/**
 * JSON text as a value, also with what Python writes for numbers that are none: Infinity is one, and NaN a text, which
 * no number may be.
 * @param maxValues at most so many values, which take memory whatever they are
 * @throws LlqError `bad-input` for anything that is not UTF-8 JSON
 */
export function parseJson(name: string, bytes: Uint8Array, maxValues = MAX_JSON_VALUES): unknown {
  refuseImpostor(name, bytes);
  checkJsonBudget(name, bytes, maxValues);
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
    return JSON.parse(text);
  } catch (cause) {
    if (/Infinity|NaN/.test(text)) {
      const plain = text.replace(PYTHON_NUMBERS, (all, number) => PYTHON_VALUES.get(number) ?? all);
      if (plain !== text) return parseJson(name, encodeUtf8(plain), maxValues);
    }
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LlqError("bad-input", t`${name}: not valid JSON: ${why}`, { cause });
  }
}

/** A JSON string, which is passed over, or a number of Python's that JSON has no words for. */
const PYTHON_NUMBERS = /"(?:[^"\\]|\\.)*"|(-?\bInfinity\b|\bNaN\b)/g;
const PYTHON_VALUES: ReadonlyMap<string, string> = new Map([
  ["Infinity", "1e999"],
  ["-Infinity", "-1e999"],
  ["NaN", '"NaN"'],
]);

/** JSON.parse takes some 40 bytes of memory for each bracket: a file of a few megabytes could take them all. */
const MAX_JSON_DEPTH = 100;
const MAX_JSON_VALUES = 2 ** 18;
/** Keys cost most; the largest vocabularies have 300,000. */
const MAX_JSON_KEYS = 2 ** 19;

/** Before anything is built: how deep the text nests, and how many commas and brackets promise values. */
function checkJsonBudget(name: string, json: Uint8Array, maxValues: number): void {
  let depth = 0;
  let values = 0;
  let keys = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]!;
    if (inString) {
      if (byte === 0x5c)
        i++; // backslash
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) {
      inString = true;
    } else if ((byte | 0x20) === 0x7b) {
      // [ or {
      values++;
      if (++depth > MAX_JSON_DEPTH)
        throw badInput(t`${name}: not valid JSON: nested deeper than ${MAX_JSON_DEPTH}`);
    } else if ((byte | 0x20) === 0x7d) {
      // ] or }
      depth--;
    } else if (byte === 0x2c) {
      values++;
    } else if (byte === 0x3a && ++keys > MAX_JSON_KEYS) {
      throw badInput(t`${name}: JSON of more than ${MAX_JSON_KEYS} keys`);
    }
    if (values > maxValues) throw badInput(t`${name}: JSON of more than ${maxValues} values`);
  }
}

/** The lines of a file of JSON documents, one in each, numbered from 1; empty ones too. */
export function* jsonLines(
  bytes: Uint8Array,
): Generator<{ readonly line: number; readonly json: Uint8Array }> {
  let line = 0;
  for (let at = 0; at < bytes.length; ) {
    const next = bytes.indexOf(0x0a, at);
    const end = next < 0 ? bytes.length : next;
    yield { line: ++line, json: bytes.subarray(at, end) };
    at = end + 1;
  }
}

/** Whether there is nothing but white space. */
export function isBlank(json: Uint8Array): boolean {
  return json.every((byte) => byte <= 0x20);
}
