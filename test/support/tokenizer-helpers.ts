import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { withFile } from "../../formats/bytes.js";
import { readGguf } from "../../formats/gguf/gguf.js";
import type { Tokenizer } from "../../src/tokenizer/types.js";
import { type Vocab, vocabFromMetadata } from "../../src/tokenizer/vocab.js";
import { Random } from "./random.js";

const GOLDEN = new URL("../golden/tokenizer/", import.meta.url);

/** A file of golden/tokenizer. */
export function readGolden<T>(name: string): T {
  return JSON.parse(gunzipSync(readFileSync(new URL(`${name}.json.gz`, GOLDEN))).toString());
}

/** Strings on which tokenizers tend to disagree; see golden/make/strings.py. */
export const STRINGS = readGolden<readonly string[]>("strings");

/** Strings of any characters there can be. */
export const RANDOM_UNICODE: readonly string[] = Array.from({ length: 2000 }, (_, seed) => {
  const random = new Random(seed);
  const character = () => {
    const point = random.below(random.pick([0x80, 0x800, 0x10000, 0x110000]));
    return point >= 0xd800 && point < 0xe000 ? " " : String.fromCodePoint(point); // surrogates are no characters
  };
  return Array.from({ length: random.below(30) }, character).join("");
});

/** Ids of STRINGS without bos by a reference implementation; see golden/make/tokenizer.py. */
export function goldenIds(name: string): readonly (readonly number[])[] {
  return readGolden<{ ids: number[][] }>(name).ids;
}

/** The strings whose ids are not the expected ones, each with both; an empty list when all agree. */
export function disagreements(
  tokenizer: Tokenizer,
  expected: readonly (readonly number[])[],
  strings: readonly string[] = STRINGS,
): { string: string; ids: number[]; expected: readonly number[] }[] {
  return strings
    .map((string, i) => ({
      string,
      ids: [...tokenizer.encode(string, { addBos: false })],
      expected: expected[i]!,
    }))
    .filter(({ ids, expected }) => ids.join() !== expected.join());
}

/** The strings that do not come back from their ids. */
export function lossy(tokenizer: Tokenizer, strings: readonly string[] = STRINGS): string[] {
  return strings.filter((string) => tokenizer.decode(tokenizer.encode(string)) !== string);
}

export function ggufVocab(path: string): Vocab {
  return vocabFromMetadata(path, withFile(path, readGguf).metadata);
}

/** The folder of files that are not part of the project, if there is one. */
export const SHARED = process.env["LLQ_SHARED"];
