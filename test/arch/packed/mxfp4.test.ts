import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openModel } from "../../../src/model.js";
import { type Plan, planKeep, planQuantize } from "../../../src/quant/plan.js";
import { parseOverride } from "../../../src/quant/recipes/override.js";
import { findRecipe } from "../../../src/quant/recipes/recipes.js";
import { execute } from "../../../src/run/write/execute.js";
import { scratchFolder } from "../../support/scratch.js";

// gpt-oss's experts as they are published, and the bytes that convert_hf_to_gguf.py makes of them: make/gpt_oss_mxfp4.py.

const FOLDER = new URL("../../golden/families/gpt-oss-mxfp4/", import.meta.url).pathname;
const BYTES: Record<string, string> = JSON.parse(readFileSync(join(FOLDER, "mxfp4.json"), "utf8"));
const scratch = scratchFolder();

/** SHA-256 of the experts' tensors, by name. */
async function expertsOf(plan: Plan, name: string): Promise<{ file: string; bytes: Record<string, string> }> {
  const file = join(scratch, name);
  await execute(plan, file, { threads: 0 });
  const content = readFileSync(file);
  const bytes: Record<string, string> = {};
  for (const { name: tensor, dtype, sources } of openModel(file).tensors) {
    if (dtype !== "MXFP4") continue;
    const { offset, byteLength } = sources[0]!;
    const digest = createHash("sha256").update(content.subarray(offset, offset + byteLength));
    bytes[tensor] = digest.digest("hex");
  }
  return { file, bytes };
}

test("experts in MXFP4 go through convert and quantize as they are", async () => {
  const kept = await expertsOf(planKeep(openModel(FOLDER)), "kept.gguf");
  expect(kept.bytes).toEqual(BYTES);
  for (const [source, name] of [
    [FOLDER, "folder.gguf"],
    [kept.file, "file.gguf"],
  ] as const) {
    const { bytes, file } = await expertsOf(planQuantize(openModel(source), findRecipe("Q4_K_M")), name);
    expect(bytes).toEqual(BYTES);
    expect(openModel(file).tensors.find(({ role }) => role === "attn_q")!.dtype).not.toBe("BF16");
  }
});

test("they are quantized when that is asked for", () => {
  const recipe = findRecipe("Q8_0");
  const types = (options: Parameters<typeof planQuantize>[2]) =>
    planQuantize(openModel(FOLDER), recipe, options)
      .tensors.filter(({ tensor }) => tensor.role.endsWith("_exps"))
      .map(({ dtype }) => dtype);
  expect(types({})).toEqual(["MXFP4", "MXFP4", "MXFP4"]);
  expect(types({ allowRequantize: true })).toEqual(["Q8_0", "Q8_0", "Q8_0"]);
  const overrides = [parseOverride("ffn_up_exps=Q4_0")];
  expect(() => types({ overrides })).toThrow(/quantized already \(MXFP4\)/);
});
