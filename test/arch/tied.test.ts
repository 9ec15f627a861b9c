import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../src/model.js";
import { changedCheckpoint, rowsReversed, type Stored, type Tensors } from "../support/checkpoint.js";
import { convertedModel, familyPerplexity, GOLDEN_FAMILIES } from "../support/families.js";
import { scratchFolder } from "../support/scratch.js";

// Checkpoints whose config.json ties the output to the embedding, and which hold an output all the same.
const scratch = scratchFolder();
const expected: Record<string, number> = JSON.parse(
  readFileSync(new URL("../golden/tied.json", import.meta.url), "utf8"),
);

/** By whatever name. */
function embeddingOf(tensors: Tensors): [name: string, stored: Stored] {
  return [...tensors].find(([name]) => /(embed_tokens|embeddings|wte|word_embeddings)\.weight$/.test(name))!;
}

function withHead(family: string, name: string, head: (embedding: Stored) => Stored, drop = false): string {
  return changedCheckpoint(join(GOLDEN_FAMILIES, family), join(scratch, name), {
    tensors: (tensors) => {
      const [embedding, stored] = embeddingOf(tensors);
      const all: Tensors = new Map([...tensors, ["lm_head.weight", head(stored)]]);
      if (drop) all.delete(embedding);
      return all;
    },
  });
}

describe.each(Object.keys(expected))("%s", (family) => {
  test("an output that is not the embedding is the model's, as in transformers", async () => {
    const model = openModel(withHead(family, `${family}-other`, rowsReversed));
    const file = await convertedModel(model, join(scratch, `${family}.gguf`));
    for (const each of [model, file]) {
      expect((await familyPerplexity(family, each)) / expected[family]!).toBeCloseTo(1, 5);
    }
    // Falcon's checkpoints have an output of their own whatever their configuration says.
    if (!family.startsWith("falcon")) expect(model.remarks[0]).toContain("gets an output of its own");
  });

  test("an output that is the embedding again changes nothing, nor one in its place", async () => {
    const folder = join(GOLDEN_FAMILIES, family);
    const { perplexity } = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8"));
    const again = openModel(withHead(family, `${family}-again`, (each) => each));
    const alone = openModel(withHead(family, `${family}-alone`, (each) => each, true));
    expect(again.remarks.filter((remark) => !remark.includes("llama.cpp"))).toEqual([]);
    if (!family.startsWith("falcon")) {
      expect(again.tensors.map(({ name }) => name)).toEqual(
        openModel(folder).tensors.map(({ name }) => name),
      );
    }
    for (const each of [again, alone]) {
      expect((await familyPerplexity(family, each)) / perplexity).toBeCloseTo(1, 5);
    }
  });
});

test("an output of another type or shape is no embedding", () => {
  const zeros = ({ shape }: Stored): Stored => ({
    dtype: "F32",
    shape,
    bytes: new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)),
  });
  const model = openModel(withHead("qwen2-tied", "f32-head", zeros));
  expect(model.tensors.find(({ role }) => role === "output")?.dtype).toBe("F32");
});
