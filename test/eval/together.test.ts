import { describe, expect, test } from "vitest";
import { collectSquares } from "../../src/eval/imatrix/collect.js";
import { scoreChunks } from "../../src/eval/perplexity/forward.js";
import { openModel } from "../../src/model.js";
import { FAMILIES } from "../support/team.js";

// Fewer chunks than threads: each is run by all threads together, with a share of the rows and heads for each. What comes
// out is that of one thread, to the bit, with every mixer and feed-forward.

const NAMES = [
  "llama",
  "falcon-7b",
  "mpt",
  "gemma3",
  "gpt-oss",
  "chatglm",
  "deepseek-v2",
  "glm-4.7-flash",
  "mixtral",
  "llama-4",
  "qwen2-moe",
  "mamba",
  "mamba2",
  "granite-4-hybrid",
  "lfm2",
  "qwen3-next",
  "kimi-linear",
  "falcon-h1",
  "minicpm3",
  "gemma3n",
  "gemma4-shared",
  "gemma4-per-layer",
];

describe.each(NAMES)("%s", (name) => {
  const model = openModel(`${FAMILIES}${name}`);
  const context = 40;
  const chunks = Array.from({ length: 2 }, (_, chunk) =>
    Int32Array.from({ length: context }, (_, i) => (i * 31 + chunk * 7 + 3) % model.hparams.vocabSize),
  );

  test.each([1, 2])("%s chunks are scored", async (count) => {
    const score = async (threads: number) => {
      const found: Float64Array[] = [];
      await scoreChunks(model, chunks.slice(0, count), {
        threads,
        firstPosition: 5,
        onChunk: (chunk, { nll }) => {
          found[chunk] = nll;
        },
      });
      return found;
    };
    const alone = await score(0);
    expect(alone).toHaveLength(count);
    expect(await score(count === 1 ? 2 : 3)).toEqual(alone);
  });

  test("the sums of squares", async () => {
    const collect = async (threads: number) => {
      const found = new Map<string, Float64Array>();
      await collectSquares(model, chunks.slice(0, 1), {
        threads,
        firstChunk: 0,
        onLayer: (layer, _first, _count, squares) => {
          for (const [input, sums] of squares) found.set(`${layer} ${input}`, sums);
        },
        onGroup() {},
      });
      return found;
    };
    const alone = await collect(0);
    expect(alone.size).toBeGreaterThan(2);
    expect(await collect(3)).toEqual(alone);
  });
});
