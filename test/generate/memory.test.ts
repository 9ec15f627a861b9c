import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { byteLength } from "../../formats/dtype.js";
import { findPreset, PRESETS } from "../../src/arch/published/presets.js";
import { checkMemory, generateMemory } from "../../src/generate/memory.js";
import { openModel } from "../../src/model.js";
import { teamBytes } from "../../src/net/team/memory.js";
import { configOutline } from "../../src/outline.js";
import { kvCache } from "../../src/quant/fit/memory.js";
import { recipeSize, recipeTypes } from "../../src/quant/fit/size.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { refusal } from "../support/build/build.js";
import { TINY_LLAMA } from "../support/scratch.js";

const options = { context: 256, kvType: "f16", threads: 2 } as const;

test("config.json alone says what the weights say", () => {
  const config = JSON.parse(readFileSync(join(TINY_LLAMA, "config.json"), "utf8"));
  const model = openModel(TINY_LLAMA);
  for (const recipe of ["F32", "Q8_0", "Q4_K_M"]) {
    const types = recipeTypes({ ...model, stored: true }, findRecipe(recipe));
    const outline = configOutline("", "", config);
    expect(generateMemory(outline, options)(types)).toEqual(generateMemory(model, options)(types));
  }
});

describe("published models in Q4_K_M", () => {
  test.each([...PRESETS.keys()])("%s", (name) => {
    const outline = configOutline(name, name, findPreset(name).config);
    const recipe = findRecipe("Q4_K_M");
    const memory = generateMemory(outline, { ...options, context: 2048 })(recipeTypes(outline, recipe));
    // As they are laid out weights take a little more, and embeddings are not among them.
    const types = recipeTypes(outline, recipe);
    const tables = outline.tensors.filter(({ role }) => role === "per_layer_token_embd");
    const read = tables.reduce((sum, { name, shape }) => sum + byteLength(types.get(name)!, shape), 0);
    const stored = recipeSize(outline, recipe).byteLength - read;
    expect(memory.weights / stored).toBeGreaterThan(0.85);
    expect(memory.weights / stored).toBeLessThan(1.08);
    // llama.cpp keeps whole caches where all layers have a window, and a latent once, which is here beside its key too.
    const alone = generateMemory(outline, { ...options, context: 2048, threads: 1 })();
    const { rank } = outline.hparams.latent;
    const width = rank + outline.hparams.ropeDimensionCount;
    const times = rank === 0 ? 1 : (width + rank) / width;
    expect(alone.states).toBeLessThanOrEqual(kvCache(outline, 2048, "f16").bytes * times);
  });
});

describe("a model and a machine", () => {
  const memory = { weights: 4e9, states: 5e8, working: 2e8, shared: 1e8, program: 2e8 };
  const check = (total: number, available: number) => checkMemory("m.gguf", memory, { total, available });

  test("that has the memory", () => {
    expect(teamBytes(memory)).toBe(5e9);
    expect(check(8e9, 5e9)).toBeUndefined();
  });

  test("that has it, but not free", () => {
    expect(check(8e9, 4.9e9)).toBe(
      "m.gguf: generating takes 5.00 GB (4.00 GB of weights, 0.50 GB for the context), but 4.90 GB are free: it may be slow, or be ended",
    );
  });

  test("that does not have it", () => {
    expect(refusal(() => check(4.9e9, 3e9))).toBe(
      "no-space: m.gguf: generating takes 5.00 GB (4.00 GB of weights, 0.50 GB for the context); this machine has 4.90 GB",
    );
  });
});
