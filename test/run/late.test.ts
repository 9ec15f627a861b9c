import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Kernels } from "../../src/kernels/kernels.js";
import { type Model, openModel } from "../../src/model.js";
import { planConvert } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { splitBySize } from "../../src/quant/split.js";
import { readRowsF32 } from "../../src/rows/rows.js";
import { withFiles } from "../../src/run/threads/scope.js";
import { executeParts } from "../../src/run/write/execute.js";
import { rowCount, rowLength } from "../../src/tensor.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();

/** The model in a file for each of its larger tensors. */
async function split(name: string): Promise<string[]> {
  const plan = planConvert(openModel(TINY_LLAMA), findRecipe("F16"));
  const parts = splitBySize(plan, join(folder, name), 20_000);
  await executeParts(parts, { threads: 1 });
  return parts.map(({ output }) => output);
}

/** The first value of each row of every tensor, with so many files open at most. */
function firstValues(model: Model, most: number): Promise<number[]> {
  const kernels = new Kernels();
  return withFiles(async (open) => {
    const files = open(model.container.files);
    expect(files.filter((file) => typeof file === "number")).toHaveLength(Math.min(most, files.length));
    return model.tensors.flatMap((tensor) => {
      kernels.reset();
      const x = kernels.reserve(rowLength(tensor) * 4);
      return Array.from({ length: Math.min(4, rowCount(tensor)) }, (_, row) => {
        readRowsF32(kernels, files, tensor, row, 1, x);
        return kernels.floats(x, 1)[0]!;
      });
    });
  }, most);
}

describe("a model in more files than may be open", () => {
  test("reads as one whose files are all open", async () => {
    const [first] = await split("many.gguf");
    const model = openModel(first!);
    expect(model.container.files.length).toBeGreaterThan(33); // more than a thread has open at once
    expect(await firstValues(model, 0)).toEqual(await firstValues(model, 1000));
  });

  test("is refused when one of them changes", async () => {
    const [first, second] = await split("changed.gguf");
    const model = openModel(first!);
    const work = withFiles(async (open) => {
      const files = open(model.container.files);
      appendFileSync(second!, "x");
      const kernels = new Kernels();
      const tensor = model.tensors.find(({ sources }) => sources[0]?.file === 1)!;
      readRowsF32(kernels, files, tensor, 0, 1, kernels.reserve(rowLength(tensor) * 4));
    }, 1);
    await expect(work).rejects.toThrow(/has changed while it was read/);
  });
});
