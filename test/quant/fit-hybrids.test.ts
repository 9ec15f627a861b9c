import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { PRESETS } from "../../src/arch/published/presets.js";
import { configOutline } from "../../src/outline.js";
import { kvCache } from "../../src/quant/fit/memory.js";
import { recurrentStates } from "../../src/quant/fit/recurrent.js";
import { recipeSize, weightCount } from "../../src/quant/fit/size.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";

// Published models with state spaces beside attention, by their configurations alone; golden/make/fit_hybrids.py.
const GOLDEN: Record<string, { parameters: number; kvElements: number; stateBytes: number }> = JSON.parse(
  readFileSync(new URL("../golden/fit/hybrids.json", import.meta.url), "utf8"),
);

describe.each(Object.entries(GOLDEN))("%s", (name, { parameters, kvElements, stateBytes }) => {
  const outline = configOutline(name, name, PRESETS.get(name)!.config);

  test("has the parameters that transformers counts", () => {
    expect(weightCount(outline.tensors)).toBe(parameters);
  });

  test("keeps keys and values of its layers with attention, and a state of all others", () => {
    expect(recurrentStates(outline).bytes).toBe(stateBytes);
    expect(kvCache(outline, 4096, "f16").bytes).toBe(4096 * kvElements * 2 + stateBytes);
    expect(kvCache(outline, 8192, "f16").bytes - kvCache(outline, 4096, "f16").bytes).toBe(
      4096 * kvElements * 2,
    );
  });

  test("takes two bytes for each in F16, and more where vectors stay F32", () => {
    const bytes = recipeSize(outline, findRecipe("F16")).byteLength;
    expect(bytes).toBeGreaterThan(2 * parameters);
    expect(bytes).toBeLessThan(2.01 * parameters);
  });
});
