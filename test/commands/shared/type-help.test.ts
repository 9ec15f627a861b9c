import { expect, test } from "vitest";
import { findPreset } from "../../../src/arch/published/presets.js";
import { TYPE_HELP, typeHelp } from "../../../src/commands/shared/type-help.js";
import { configOutline } from "../../../src/outline.js";
import { recipeSize, weightCount } from "../../../src/quant/fit/size.js";
import { BITS, RECIPES } from "../../../src/quant/recipes/recipes.js";

test("quantize --help has every type, with the bits and the size that llq fit reckons for 7B", () => {
  const { name, config } = findPreset("7B");
  const outline = configOutline(name, name, config);
  const weights = weightCount(outline.tensors);
  const sizes = RECIPES.map((recipe) => {
    const bytes = recipeSize(outline, recipe).byteLength;
    return [recipe.name, ((8 * bytes) / weights).toFixed(2), (bytes / 2 ** 30).toFixed(2)].join(" ");
  });
  const said = TYPE_HELP.map(([type, bits, gib]) => [type, bits.toFixed(2), gib.toFixed(2)].join(" "));
  expect(said.toSorted()).toEqual(sizes.toSorted());
});

test("what it says of --bits and of --imatrix is so", () => {
  for (const [name, , , when] of TYPE_HELP) {
    const bits = /--bits (\d)/.exec(when)?.[1];
    if (bits !== undefined) expect(BITS[bits]).toBe(name);
    const { needsImatrix = false } = RECIPES.find((recipe) => recipe.name === name)!;
    expect({ name, needs: when.startsWith("needs --imatrix") }).toEqual({ name, needs: needsImatrix });
  }
  expect(
    typeHelp()
      .split("\n")
      .every((line) => line.length < 100),
  ).toBe(true);
});
