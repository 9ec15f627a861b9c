import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { evaluatePerplexity } from "../../src/eval/perplexity/perplexity.js";
import { openModel } from "../../src/model.js";
import { GOLDEN_FAMILIES } from "../support/families.js";

// The first ChatGLM: tokens of a chunk's prefix see each other, and each chunk has a prefix of its own, or none. The
// publisher's own model says what a chunk with one and a chunk without are worth; golden/make/families.py.
const folder = join(GOLDEN_FAMILIES, "chatglm");
const { tokens, prefixed } = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8")) as {
  tokens: number[];
  prefixed: number[];
};
const model = openModel(folder);

function logits(name: string): Float32Array {
  const bytes = gunzipSync(readFileSync(join(folder, `${name}.f32.gz`)));
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** Mean of -ln p of all tokens but the first, by the publisher's logits [tokens][vocabulary]. */
function mean(chunk: readonly number[], of: Float32Array): number {
  const vocabulary = of.length / chunk.length;
  let sum = 0;
  for (let i = 0; i + 1 < chunk.length; i++) {
    const row = of.subarray(i * vocabulary, (i + 1) * vocabulary);
    sum += Math.log(row.reduce((total, each) => total + Math.exp(each), 0)) - row[chunk[i + 1]!]!;
  }
  return sum / (chunk.length - 1);
}

const context = prefixed.length;
const plain = tokens.slice(0, context);
const expected = { prefixed: mean(prefixed, logits("prefixed")), plain: mean(plain, logits("logits")) };

test.each([
  ["with a prefix first", [prefixed, plain], ["prefixed", "plain"]],
  ["with a prefix last", [plain, prefixed, plain], ["plain", "prefixed", "plain"]],
] as const)("chunks side by side, one of them %s", async (_, chunks, kinds) => {
  const ids = Int32Array.from(chunks.flat());
  for (const threads of [0, 1]) {
    const options = { context, fullWindow: true, activations: "f32", threads } as const;
    const { chunkMeans } = await evaluatePerplexity(model, ids, options);
    for (const [i, { nll }] of chunkMeans.entries()) expect(nll).toBeCloseTo(expected[kinds[i]!], 4);
  }
});
