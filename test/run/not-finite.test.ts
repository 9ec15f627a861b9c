import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openContainer } from "../../formats/open.js";
import { type Model, openModel } from "../../src/model.js";
import { menuOf } from "../../src/quant/by-size/menu.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { appraise } from "../../src/run/measure/appraise.js";
import { measureDeviations } from "../../src/run/measure/deviations.js";
import { verify } from "../../src/run/measure/verify.js";
import { execute } from "../../src/run/write/execute.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();

/** tiny-llama with one weight replaced, as its BF16 bits. */
function spoilt(name: string, bits: number): Model {
  const copy = copyTinyLlama(folder, name);
  const file = join(copy, "model.safetensors");
  const { offset } = openContainer(file).tensors.get("model.layers.0.mlp.up_proj.weight")!;
  const bytes = readFileSync(file);
  bytes.writeUInt16LE(bits, offset + 2 * (256 + 7));
  writeFileSync(file, bytes);
  return openModel(copy);
}

describe.each([
  ["NaN", 0x7fc0],
  ["Infinity", 0x7f80],
  ["-Infinity", 0xff80],
])("a weight of %s, which no kernel that looks codes up may see", (value, bits) => {
  const good = openModel(TINY_LLAMA);
  let bad: Model;
  const refusal = {
    code: "bad-input",
    message: `tensor blk.0.ffn_up.weight: row 1, column 7: the weight is ${value}`,
  };

  beforeAll(() => {
    bad = spoilt(value, bits);
  });

  test("is refused where types are tried", async () => {
    await expect(appraise(bad, menuOf(bad, { guide: undefined }), { threads: 1 })).rejects.toMatchObject(
      refusal,
    );
  });

  test("is refused in the source that a file is verified against", async () => {
    const output = join(folder, `${value}.gguf`);
    await execute(planQuantize(good, findRecipe("Q4_K_M")), output, { threads: 1 });
    await expect(verify(openModel(output), bad, { threads: 1 })).rejects.toMatchObject(refusal);
  });

  test("is refused where weights are compared, in the base and in the others", async () => {
    await expect(measureDeviations(bad, [good], { threads: 1 })).rejects.toMatchObject(refusal);
    await expect(measureDeviations(good, [bad], { threads: 1 })).rejects.toMatchObject(refusal);
  });
});
