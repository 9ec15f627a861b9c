import { describe, expect, test } from "vitest";
import { pairVectors } from "../../src/kernels/products.js";
import { type Model, openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { sliceRows, type Tensor } from "../../src/tensor.js";
import { logitsOf } from "../support/logits.js";
import { Random } from "../support/random.js";
import { TINY_LLAMA } from "../support/scratch.js";
import { bits, FAMILIES, feed, withTeam } from "../support/team.js";

pairVectors();

/** The model with fewer tokens in its vocabulary, as GPT-2 has an odd number of them. */
function withVocabulary(model: Model, vocabSize: number): Model {
  const cut = (tensor: Tensor) =>
    tensor.role === "token_embd" || tensor.role === "output" ? sliceRows(tensor, 0, vocabSize) : tensor;
  const hparams = { ...model.hparams, vocabSize };
  return { ...model, hparams, tensors: model.tensors.map(cut) };
}

const tokens = new Random(12).ids(24, 300);

describe("rows that do not divide into panels, nor among threads", () => {
  test.each(["llama", "gpt2", "gemma", "qwen2-tied"])("%s", async (family) => {
    const model = withVocabulary(openModel(`${FAMILIES}${family}`), 317);
    const logits = await logitsOf(model, Int32Array.from(tokens));
    for (const threads of [0, 2, 3]) {
      const said = await withTeam(model, { threads, sequences: 2 }, async (team) => {
        await feed(team, tokens.slice(0, -1));
        team.copy(1, 0);
        const last = tokens.at(-1)!;
        return (await team.step([0, 1], Int32Array.of(last, last))).map(bits);
      });
      const expected = bits(logits.subarray(-317));
      expect(said).toEqual([expected, expected]);
    }
  });

  test.each(["Q4_K_M", "Q8_0", "Q4_0", "IQ4_NL"])("tiny-llama as %s", async (recipe) => {
    const model = withVocabulary(openModel(TINY_LLAMA), 2043);
    const plan = planQuantize(model, findRecipe(recipe));
    const types = new Map(plan.tensors.map(({ tensor, dtype }) => [tensor.name, dtype]));
    const whole = await withTeam(openModel(TINY_LLAMA), { activations: "int8", types }, (team) =>
      feed(team, tokens),
    );
    for (const threads of [0, 2, 3]) {
      const said = await withTeam(model, { activations: "int8", types, threads }, (team) =>
        feed(team, tokens, { piece: 9 }),
      );
      expect(bits(said)).toBe(bits(whole.subarray(0, 2043)));
    }
  });
});

test.each(["llama", "gemma", "mamba", "qwen2-moe", "falcon-40b", "mpt", "falcon-h1-norm", "kimi-linear"])(
  "%s has the same bits with more threads than it has heads, channels or panels",
  async (family) => {
    const said = await Promise.all(
      [0, 7].map((threads) => withTeam(family, { threads }, async (team) => bits(await feed(team, tokens)))),
    );
    expect(said[1]).toBe(said[0]);
  },
);
