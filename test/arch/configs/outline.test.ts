import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openModel } from "../../../src/model.js";
import { configOutline } from "../../../src/outline.js";
import { GOLDEN_FAMILIES } from "../../support/families.js";

// What is known of a model from its config.json alone, beside the checkpoint that transformers wrote for it.

const families = readdirSync(GOLDEN_FAMILIES).filter((name) =>
  existsSync(join(GOLDEN_FAMILIES, name, "reference.json")),
);

const shapes = (tensors: readonly { readonly name: string; readonly shape: readonly number[] }[]) =>
  Object.fromEntries(tensors.map(({ name, shape }) => [name, shape.join(" x ")]));

test.each(families)("config.json of %s says which tensors there are, and of which shapes", (name) => {
  const file = join(GOLDEN_FAMILIES, name, "config.json");
  const outline = configOutline(name, file, JSON.parse(readFileSync(file, "utf8")));
  expect(shapes(outline.tensors)).toEqual(shapes(openModel(join(GOLDEN_FAMILIES, name)).tensors));
});
