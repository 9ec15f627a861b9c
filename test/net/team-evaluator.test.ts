import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { scoreChunks } from "../../src/eval/perplexity/forward.js";
import { pairVectors } from "../../src/kernels/products.js";
import { type Model, openModel } from "../../src/model.js";
import type { AttentionPlan } from "../../src/net/mixers/attention/plan.js";
import { planDecoder } from "../../src/net/plan/decoder.js";
import type { Activations } from "../../src/net/products/matmul.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { logitsOf } from "../support/logits.js";
import { Random } from "../support/random.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";
import { bits, FAMILIES, feed, logProbabilities, withTeam } from "../support/team.js";

// A text that goes through the cache says what it says as one chunk of the evaluator, which knows no cache: its kernel
// of attention is another, its weights come from the file.

pairVectors();
const folder = scratchFolder();
const llama = openModel(TINY_LLAMA);
const text = readFileSync(new URL("../../samples/text.txt", import.meta.url), "utf8");
const CHUNK = createTokenizer(llama.vocab).encode(text).slice(0, 128);

/** -ln p of each token that follows, by the evaluator. */
async function evaluated(model: Model, chunk: Int32Array, activations: Activations): Promise<Float64Array> {
  let nll: Float64Array | undefined;
  await scoreChunks(model, [chunk], {
    ...{ firstPosition: 0, activations, threads: 0 },
    onChunk: (_, scores) => {
      nll = scores.nll.slice();
    },
  });
  return nll!;
}

describe("samples/tiny-llama token by token", () => {
  const quantized = join(folder, "Q4_K_M.gguf");
  beforeAll(() => execute(planQuantize(llama, findRecipe("Q4_K_M")), quantized, { threads: 0 }));

  test.each([
    ["floats", "f32"],
    ["Q4_K_M", "f32"],
    ["Q4_K_M", "int8"],
  ] as const)(
    "%s with %s activations has the evaluator's perplexity, and its logits to the bit",
    async (type, activations) => {
      const model = type === "floats" ? llama : openModel(quantized);
      const nll = await evaluated(model, CHUNK, activations);
      const logits = await logitsOf(model, CHUNK, activations);
      const { vocabSize } = model.hparams;
      const [worst, sum] = await withTeam(model, { activations, threads: 2 }, async (team) => {
        let [worst, sum] = [0, 0];
        for (const [i, next] of [...CHUNK.subarray(1)].entries()) {
          const said = await feed(team, [CHUNK[i]!]);
          expect(bits(said)).toBe(bits(logits.subarray(i * vocabSize, (i + 1) * vocabSize)));
          const own = -logProbabilities(said)[next]!;
          worst = Math.max(worst, Math.abs(own / nll[i]! - 1));
          sum += own;
        }
        return [worst, sum];
      });
      // The evaluator's exp is of f32: that is all the difference. Found: 1.4e-7 of a token, 7e-10 of the perplexity.
      expect(worst).toBeLessThan(5e-7);
      expect(Math.abs(sum / nll.reduce((a, b) => a + b) - 1)).toBeLessThan(1e-8);
    },
  );
});

const families = readdirSync(FAMILIES).filter((name) => existsSync(join(FAMILIES, name, "generate.json")));

test.each(families)("%s in pieces has the evaluator's logits to the bit", async (family) => {
  const model = openModel(`${FAMILIES}${family}`);
  const { prompt, tokens } = JSON.parse(readFileSync(join(FAMILIES, family, "generate.json"), "utf8"));
  const chunk: number[] = [...prompt, ...tokens];
  const piece = model.hparams.prefixTokens === undefined ? 7 : chunk.length;
  const { vocabSize } = model.hparams;
  const logits = await logitsOf(model, Int32Array.from(chunk));
  await withTeam(model, {}, async (team) => {
    for (let at = 0; at < chunk.length; at += piece) {
      const own = chunk.slice(at, at + piece);
      const end = (at + own.length) * vocabSize;
      expect(bits(await feed(team, own))).toBe(bits(logits.subarray(end - vocabSize, end)));
    }
  });
});

const windowed = families.filter((family) =>
  planDecoder(openModel(`${FAMILIES}${family}`)).layers.some(
    ({ mixer: { plan } }) => plan.kind === "attention" && (plan as AttentionPlan).window === 24,
  ),
);

// Where keys have gone out of a window the two kernels cut what they add up at other places.
test.each(windowed)("%s says the same when its ring has gone around", async (family) => {
  const model = openModel(`${FAMILIES}${family}`);
  const { vocabSize } = model.hparams;
  const chunk = new Random(3).ids(900, vocabSize);
  const logits = await logitsOf(model, Int32Array.from(chunk));
  const expected = logits.subarray(-vocabSize);
  const range = Math.max(...expected) - Math.min(...expected);
  await withTeam(model, { context: 1024 }, async (team) => {
    const said = await feed(team, chunk, { piece: 50 });
    const off = said.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
    expect(off / range).toBeLessThan(1e-6);
  });
});
