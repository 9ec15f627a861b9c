import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import type { Tokenizer } from "../../src/tokenizer/types.js";
import { readVocab, type Vocab } from "../../src/tokenizer/vocab.js";
import { bestOf, printTable } from "./measure.js";

const SAMPLES = fileURLToPath(new URL("../../../samples/", import.meta.url)); // from dist/test/bench
const SHARED = process.env["LLQ_SHARED"];
const TEXT_BYTES = 1_300_000;

/** Published vocabularies in the folder of LLQ_SHARED, and the rows of their models. */
const PUBLISHED: readonly (readonly [folder: string, rows: number])[] = [
  ["llama2", 32000],
  ["llama3", 128256],
  ["qwen", 151936],
  ["gpt2", 50257],
  ["falcon-tokenizer", 65024],
];

/**
 * Tokens a second over 1.3 MB of text, each time with an encoder that has met nothing before, and what processor time it took to
 * read the vocabulary and make the first. The text is WikiText-2 if LLQ_SHARED has it, else the sample's over and over, which is easier.
 */
export function benchTokenizer(): void {
  const wikitext = `${SHARED}/data/eval/wikitext2/wiki.test.raw`;
  const text = existsSync(wikitext) ? readFileSync(wikitext, "utf8") : repeatedSample();
  const rows = [benchVocab("tiny-llama", `${SAMPLES}tiny-llama`, 2048, text)];
  for (const [name, vocabSize] of SHARED === undefined ? [] : PUBLISHED) {
    rows.push(benchVocab(name, `${SHARED}/data/tokenizers/${name}`, vocabSize, text));
  }
  console.log(
    `\ntokenizers, one thread, ${existsSync(wikitext) ? "WikiText-2 test" : "repeated sample text"}`,
  );
  printTable(["vocabulary", "kind", "pre-tokenizer", "tokens", "k tokens/s", "loaded in"], rows);
}

function benchVocab(name: string, folder: string, vocabSize: number, text: string): string[] {
  const before = process.cpuUsage();
  const vocab: Vocab = readVocab(folder, { vocabSize });
  createTokenizer(vocab);
  const { user, system } = process.cpuUsage(before);
  const fresh: Tokenizer[] = Array.from({ length: 6 }, () => createTokenizer(vocab));
  let count = 0;
  const seconds = bestOf(5, () => {
    count = fresh.pop()!.encode(text).length;
  });
  return [
    name,
    vocab.kind,
    vocab.pre,
    String(count),
    (count / seconds / 1000).toFixed(0),
    `${((user + system) / 1000).toFixed(0)} ms`,
  ];
}

function repeatedSample(): string {
  const sample = readFileSync(`${SAMPLES}text.txt`, "utf8");
  return sample.repeat(Math.ceil(TEXT_BYTES / sample.length));
}
