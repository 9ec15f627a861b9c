import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BufferSource, readText, withFile } from "../../formats/bytes.js";
import { meantBy } from "../../formats/inputs.js";
import { isBlank } from "../../formats/json.js";
import { refusal } from "../support/build/build.js";
import { scratchFolder } from "../support/scratch.js";

const folder = scratchFolder();
const path = join(folder, "four.bin");
writeFileSync(path, Uint8Array.of(1, 2, 3, 4));

test.each([
  [-1, 1],
  [2, -1],
  [3, 2],
])("reading from %i, %i bytes of four, is refused", (offset, length) => {
  expect(refusal(() => withFile(path, (file) => file.read(offset, length)))).toMatch(/^bad-input: /);
  expect(refusal(() => new BufferSource("x", Uint8Array.of(1, 2, 3, 4)).read(offset, length))).toMatch(
    /^bad-input: /,
  );
});

test.each(["model-00002-of-00003.safetensors", "model-00002-of-00003.gguf"])(
  "%s was meant as a part",
  (name) => {
    expect(meantBy(join(folder, name))).toBe("all parts belong in one folder: fetch this one too");
  },
);

test.each(["model-0002-of-0003.gguf", "model-00002-of-00003", "model-00002-of-00003.gguf.tmp"])(
  "%s is no part's name",
  (name) => {
    expect(meantBy(join(folder, name))).not.toContain("all parts");
  },
);

test("a text is UTF-8 to the byte, its byte-order mark a part of it", () => {
  const path = join(folder, "text");
  const read = (...bytes: number[]) => {
    writeFileSync(path, Uint8Array.from(bytes));
    return readText(path, 10);
  };
  expect(read(0xef, 0xbb, 0xbf, 0x61)).toBe("\ufeffa");
  for (const bytes of [[0x61, 0xff], [0xc3], [0xed, 0xa0, 0x80]]) {
    expect(refusal(() => read(...bytes))).toBe(`bad-input: ${path}: not UTF-8 text`);
  }
  expect(refusal(() => read(...new Array(11).fill(0x61)))).toMatch(/^bad-input: .*text/);
});

test("nothing but white space is blank", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  expect(["", " ", "\n\t\r ", "0", " a", "\u00a0"].map((text) => isBlank(bytes(text)))).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});
