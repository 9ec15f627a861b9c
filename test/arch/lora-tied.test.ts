import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { withLora } from "../../src/lora.js";
import { openModel } from "../../src/model.js";
import { convertedModel, familyPerplexity, GOLDEN_FAMILIES } from "../support/families.js";
import { scratchFolder } from "../support/scratch.js";

// Adapters of bases whose output is the embedding, made and evaluated by PEFT; golden/make/lora_tied.py.
const scratch = scratchFolder();
const golden = (name: string) => new URL(`../golden/lora/tied/${name}`, import.meta.url).pathname;
const expected: Record<string, number> = JSON.parse(readFileSync(golden("perplexity.json"), "utf8"));

describe.each(Object.keys(expected))("%s", (name) => {
  const [family, kind] = name.split(".") as [string, string];
  const model = withLora(openModel(join(GOLDEN_FAMILIES, family)), [{ folder: golden(name), scale: 1 }]);

  test("gives PEFT's perplexity, from the folder and from GGUF", async () => {
    for (const each of [model, await convertedModel(model, join(scratch, `${name}.gguf`))]) {
      expect((await familyPerplexity(family, each)) / expected[name]!).toBeCloseTo(1, 5);
    }
  });

  test("has an output of its own when the adapter parts it from the embedding", () => {
    const parts = !kind.endsWith("kept-tied") && kind !== "expressions";
    expect(model.tensors.some(({ role }) => role === "output")).toBe(parts);
  });
});

test("two adapters, of the embedding and of the head, are each of its own", async () => {
  const base = openModel(join(GOLDEN_FAMILIES, "qwen2-tied"));
  const loras = (names: string[], scale = 1) =>
    names.map((name) => ({ folder: golden(`qwen2-tied.${name}`), scale }));
  const both = withLora(base, [...loras(["embedding", "head"]), ...loras(["embedding"], -1)]);
  const head = withLora(base, loras(["head"]));
  const [a, b] = [await familyPerplexity("qwen2-tied", both), await familyPerplexity("qwen2-tied", head)];
  expect(a / b).toBeCloseTo(1, 5);
});
