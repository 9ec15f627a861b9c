import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ARCHITECTURES } from "../../src/arch/index.js";
import { withModels } from "../readme.js";

const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

test("README lists every family as the registry has it (npm run readme)", () => {
  expect(text).toBe(withModels(text));
  for (const { covers, classes } of ARCHITECTURES) {
    expect(covers.length).toBeGreaterThan(0);
    for (const name of classes) expect(text).toContain(name);
  }
});

test("a family that is not listed shows", () => {
  expect(withModels(text, ARCHITECTURES.slice(1))).not.toBe(text);
});

test("no class of config.json stands for two families that both accept it", () => {
  const open = ARCHITECTURES.filter(({ accepts }) => accepts === undefined).flatMap(({ classes }) => classes);
  expect(new Set(open).size).toBe(open.length);
});
