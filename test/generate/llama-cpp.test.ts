import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generate } from "../../src/generate/generate.js";
import { loadEngine } from "../../src/generate/load-engine.js";
import { pairVectors } from "../../src/kernels/products.js";
import { type Model, openModel } from "../../src/model.js";
import type { TeamOptions } from "../../src/net/team/team.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";
import { feed, likeliest, logProbabilities, withTeam } from "../support/team.js";

// How llama.cpp goes on from a few words: golden/make/generate_llama_cpp.py. Real models beside samples/tiny-llama are
// not in this repository: LLQ_SHARED names the folder that has them.

interface Run {
  readonly model: string;
  readonly type: string;
  readonly text: string;
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
  readonly continuation: string;
  readonly logprobs: readonly number[];
  readonly margins: readonly number[];
}

const golden = new URL("../golden/generate/llama-cpp.json", import.meta.url);
const { runs }: { runs: Run[] } = JSON.parse(readFileSync(golden, "utf8"));
const shared = process.env["LLQ_SHARED"] ?? "";
const weights = (...names: string[]) => join(shared, "data", "weights", ...names);
const stories = () => openModel(weights("stories260K-gguf", "stories260K.gguf"));

pairVectors();
const folder = scratchFolder();
const models = new Map<string, Promise<Model>>();

function modelOf({ model, type }: Run): Promise<Model> {
  const key = `${model} ${type}`;
  const opened = models.get(key) ?? open(model, type);
  models.set(key, opened);
  return opened;
}

async function open(name: string, type: string): Promise<Model> {
  if (name === "stories260K") return stories();
  if (name !== "tiny-llama") return openModel(weights(`${name}-hf`));
  const file = join(folder, `${type}.gguf`);
  await execute(planQuantize(openModel(TINY_LLAMA), findRecipe(type)), file, { threads: 0 });
  return openModel(file);
}

/** As llama.cpp ran: activations in int8 where weights are quantized, keys and values in f32. */
const SETTINGS: TeamOptions = { activations: "int8", kvType: "f32", context: 256, threads: 0 };

/**
 * Of ln p: sums of floats are added in another order (6e-6 at most; in Q8_0, Q4_K_M and Q4_0 1e-6, as the products
 * themselves are the same).
 */
const SAME = 1e-5;

/**
 * Where such a difference tips an activation to another int8, the numbers are others from that token on, as it stays in
 * the cache: by 0.05 at most here. A token with a smaller lead may then be another.
 */
const TIPPED = 0.1;
const LEAD = 0.02;

/** The first token that a tip changes, of the runs that have one: in the other nine nothing tips. */
const TIPS: ReadonlyMap<string, number> = new Map([
  ["Q8_0: Once upon a time", 2],
  ["Q8_0: In 1492,", 25],
  ["Q4_K_M: The little dog", 17],
  ["Q4_K_M: In 1492,", 5],
  ["Q4_0: The little dog", 24],
]);

const NAMES = ["tiny-llama", "TinyStories-656K", "stories260K"];

describe.each(NAMES)("%s says what llama.cpp says (LLQ_SHARED has the others)", (name) => {
  const own = runs.filter(({ model }) => model === name);
  describe.skipIf(name !== "tiny-llama" && shared === "")("token by token", () => {
    test.each(own)("$type: $text", async (run) => {
      const tip = TIPS.get(`${run.type}: ${run.text}`) ?? Number.POSITIVE_INFINITY;
      await withTeam(await modelOf(run), SETTINGS, async (team) => {
        let logits = await feed(team, run.prompt);
        for (const [i, token] of run.tokens.entries()) {
          const said = logProbabilities(logits);
          expect(Math.abs(said[token]! - run.logprobs[i]!)).toBeLessThan(i < tip ? SAME : TIPPED);
          if (i < tip || run.margins[i]! > LEAD) expect(likeliest(said)).toBe(token);
          if (i + 1 < run.tokens.length) logits = await feed(team, [token]);
        }
      });
    });

    const free = own.filter(({ type, text }) => !TIPS.has(`${type}: ${text}`));
    test.each(free)("as text, $type: $text", async (run) => {
      const { prompt, tokens, text } = await say(await modelOf(run), run.text, run.tokens.length);
      expect({ prompt, tokens, text }).toEqual({
        prompt: run.prompt,
        tokens: run.tokens,
        text: run.continuation,
      });
    });
  });
});

test.skipIf(shared === "")("stories260K says what llama2.c says, 200 steps (needs LLQ_SHARED)", async () => {
  const expected = readFileSync(join(shared, "data", "golden", "stories260K.greedy200.expected.txt"), "utf8");
  const { text } = await say(stories(), "", 200);
  expect(text.startsWith(expected.trimEnd())).toBe(true);
  expect(expected.length).toBeGreaterThan(400);
});

async function say(model: Model, text: string, maxTokens: number) {
  const { vocab } = model;
  const tokenizer = createTokenizer(vocab);
  const engine = await loadEngine(model, { ...SETTINGS, context: 256 });
  try {
    const generation = generate(engine, vocab, tokenizer.encode(text), { maxTokens });
    for await (const _ of generation);
    const { prompt, pieces, text: said } = generation.generated;
    return { prompt: [...prompt], tokens: pieces.map(({ token }) => token), text: said };
  } finally {
    await engine.close();
  }
}
