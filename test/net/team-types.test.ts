import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { pairVectors } from "../../src/kernels/products.js";
import { type Model, openModel } from "../../src/model.js";
import type { TeamOptions } from "../../src/net/team/team.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { Random } from "../support/random.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";
import { bits, FAMILIES, feed, withTeam } from "../support/team.js";

// A model that is quantized as it is loaded is the file that quantize writes.

pairVectors();
const folder = scratchFolder();
const MODELS: readonly (readonly [name: string, recipes: readonly string[]])[] = [
  [
    TINY_LLAMA,
    ["F16", "BF16", "F32", "Q8_0", "Q4_0", "Q5_1", "Q2_K", "Q3_K_M", "Q4_K_M", "Q6_K", "IQ4_XS", "TQ2_0"],
  ],
  // fused matrices, experts, learned positions, Mamba, a tied embedding, inputs of layers, MXFP4 of experts
  ...["phi3", "chatglm2", "qwen2-moe", "gpt2", "mamba", "qwen2-tied", "gemma4-shared", "gemma3n"].map(
    (name) => [`${FAMILIES}${name}`, ["F16", "Q8_0", "Q4_0"]] as const,
  ),
  [`${FAMILIES}mixtral`, ["MXFP4_MOE", "IQ4_NL", "Q5_0"]],
];
/** How a thread's share of rows is cut depends on their number, and on the type's blocks. */
const THREADS: Readonly<Record<string, readonly number[]>> = { Q4_K_M: [0, 1, 2, 3], Q8_0: [0, 3], F16: [1] };
const cases = MODELS.flatMap(([path, recipes]) =>
  recipes.map((recipe) => [path.split("/").at(-1)!, recipe, path] as const),
);

describe.each(["int8", "f32"] as const)("%s activations", (activations) => {
  const own = cases.filter(([, recipe]) => activations === "int8" || /Q8_0|Q4_K_M/.test(recipe));
  test.each(own)("%s as %s", async (name, recipe, path) => {
    const model = openModel(path);
    const plan = planQuantize(model, findRecipe(recipe));
    const types = new Map(plan.tensors.map(({ tensor, dtype }) => [tensor.name, dtype]));
    const file = join(folder, `${name}-${recipe}.gguf`);
    await execute(plan, file, { threads: 0, force: true });
    const tokens = new Random(6).ids(40, Math.min(320, model.hparams.vocabSize));
    const say = (from: Model, options: TeamOptions) =>
      withTeam(from, { activations, ...options }, async (team) => [
        bits(await feed(team, tokens)), // more tokens than a product of few takes
        bits(await feed(team, [9])),
      ]);
    const written = await say(openModel(file), {});
    for (const threads of THREADS[recipe] ?? [2]) {
      expect(await say(model, { types, threads })).toEqual(written);
    }
  });
});
