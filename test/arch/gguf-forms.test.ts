import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { MetaField } from "../../formats/container.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { openModel } from "../../src/model.js";
import { planConvert, planKeep } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { familyPerplexity, GOLDEN_FAMILIES } from "../support/families.js";
import { scratchFolder } from "../support/scratch.js";

// What GGUF files say otherwise than llq's own, and llama.cpp understands.
const scratch = scratchFolder();
const expected: Record<string, number> = JSON.parse(
  readFileSync(new URL("../golden/forms.json", import.meta.url), "utf8"),
);

/** The family's GGUF with other metadata. */
async function changedGguf(family: string, change: (metadata: Map<string, MetaField>) => void) {
  const plain = join(scratch, `${family}.gguf`);
  const model = openModel(join(GOLDEN_FAMILIES, family));
  await execute(planConvert(model, findRecipe("F32")), plain, { threads: 0, force: true });
  const opened = openModel(plain);
  const metadata = new Map(opened.metadata);
  change(metadata);
  const output = join(scratch, `${family}-changed.gguf`);
  await execute(planKeep({ ...opened, metadata }), output, { threads: 0, force: true });
  return openModel(output);
}

describe("RoPE that is stretched", () => {
  test.each([
    ["by a factor without a type", "llama.rope.scaling.factor", undefined],
    ["by the old key", "llama.rope.scale_linear", undefined],
    ["by a factor and its type", "llama.rope.scaling.factor", "linear"],
  ])("%s", async (_, key, type) => {
    const model = await changedGguf("llama", (metadata) => {
      metadata.set(key, meta.f32(4));
      if (type !== undefined) metadata.set("llama.rope.scaling.type", meta.string(type));
    });
    expect((await familyPerplexity("llama", model)) / expected["linear-rope"]!).toBeCloseTo(1, 5);
  });
});

test("a GGUF that does not say how its text is split is evaluated, with a remark", async () => {
  const model = await changedGguf("gpt2", (metadata) => metadata.delete("tokenizer.ggml.pre"));
  expect(model.vocab.pre).toBe("default");
  expect(model.remarks).toEqual([expect.stringContaining("no tokenizer.ggml.pre")]);
  expect((await changedGguf("gpt2", () => {})).remarks).toEqual([]);
});
