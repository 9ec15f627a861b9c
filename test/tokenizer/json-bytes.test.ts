import * as fc from "fast-check";
import { expect, test } from "vitest";
import { JsonBytes, NO_JSON } from "../../src/tokenizer/hf/json-bytes.js";

fc.configureGlobal({ seed: 18, numRuns: 500 });

/** What JSON.parse makes of bytes, which have to be UTF-8; undefined for no text. */
function parsed(bytes: Uint8Array): string | undefined {
  try {
    const value: unknown = JSON.parse(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
    );
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The text that is all of the bytes, but for white space in front; undefined for anything else. */
function read(bytes: Uint8Array, room = 100): string | undefined {
  const json = new JsonBytes(bytes);
  const units = new Uint16Array(room);
  const end = json.text(units, 3);
  return end === NO_JSON || json.at < bytes.length
    ? undefined
    : String.fromCharCode(...units.subarray(3, end));
}

test("texts are those of JSON.parse, whatever they hold and however they are written", () => {
  const unit = fc.integer({ min: 0, max: 0xffff }); // lone surrogates too
  const units = fc.array(fc.oneof(unit, fc.integer({ min: 0, max: 0x7f })), { maxLength: 40 });
  fc.assert(
    fc.property(units, fc.boolean(), (codes, isEscaped) => {
      const text = String.fromCharCode(...codes);
      const json = isEscaped
        ? `"${codes.map((code) => `\\u${code.toString(16).padStart(4, "0")}`).join("")}"`
        : JSON.stringify(text);
      expect(read(Buffer.from(` \n\t\r${json}`))).toBe(text);
    }),
  );
});

test("bytes that are no text of JSON are none", () => {
  // what matters in JSON and in UTF-8, at the edges of each
  const byte = fc.constantFrom(
    ...[0, 9, 0x1f, 0x20, 0x22, 0x2f, 0x30, 0x41, 0x5c, 0x61, 0x62, 0x66, 0x67, 0x6e, 0x72, 0x74, 0x75, 0x7f],
    ...[
      0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf4, 0xf5,
      0xff,
    ],
  );
  const accepted = { count: 0 };
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 6 }), (bytes) => {
      const json = Uint8Array.from([0x22, ...bytes, 0x22]);
      const expected = parsed(json);
      if (expected !== undefined) accepted.count++;
      expect(read(json)).toBe(expected);
    }),
    { numRuns: 20_000 },
  );
  expect(accepted.count).toBeGreaterThan(2000);
});

test("bytes of longer characters, at the edges of what there is", () => {
  const different: Uint8Array[] = [];
  for (let first = 0x80; first < 0x100; first++) {
    for (const second of [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0]) {
      for (const rest of [[], [0x80], [0xbf], [0x41], [0x80, 0x80], [0xbf, 0xbf], [0x80, 0xc0]]) {
        const json = Uint8Array.from([0x22, first, second, ...rest, 0x22]);
        if (read(json) !== parsed(json)) different.push(json);
      }
    }
  }
  expect(different).toEqual([]);
});

test("a text that is cut anywhere is none", () => {
  const json = Buffer.from('"a\\u00e9\\"é€😀\\n"');
  for (let length = 0; length < json.length; length++) expect(read(json.subarray(0, length))).toBeUndefined();
  expect(read(json)).toBe('aé"é€😀\n');
});

test("a text longer than there is room for is none", () => {
  expect(read(Buffer.from('"abcd"'), 9)).toBe("abcd");
  expect(read(Buffer.from('"abcdefgh"'), 9)).toBeUndefined();
});

test.each([
  ["0,", 0],
  [" 151643 }", 151643],
  ["999999999999999]", 999_999_999_999_999],
  ["1000000000000000]", NO_JSON],
  ["00,", NO_JSON],
  ["01,", NO_JSON],
  ["-1,", NO_JSON],
  ["1.0,", NO_JSON],
  ["1e2,", NO_JSON],
  ["1", NO_JSON],
  ["1 2", NO_JSON],
  ['"1",', NO_JSON],
  ["null,", NO_JSON],
  ["", NO_JSON],
])("the whole number %s", (text, number) => {
  expect(new JsonBytes(Buffer.from(text)).integer()).toBe(number);
});

test("any value is gone past, to where the next begins", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, spaces) => {
      const text = JSON.stringify(value, null, spaces);
      const bytes = Buffer.from(`[ ${text} ,1]`);
      const json = new JsonBytes(bytes);
      expect(json.take(0x5b) && json.skip() && json.take(0x2c)).toBe(true);
      expect(json.at).toBe(bytes.length - 2);
    }),
  );
});

test.each(["[1, 2", '{"a": ', '"a', '"a\\', ""])("%s has no end", (text) => {
  const json = new JsonBytes(Buffer.from(text));
  expect(json.skip() && json.take(0x2c)).toBe(false);
});
