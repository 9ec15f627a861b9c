import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openImatrix } from "../formats/imatrix.js";
import { openModel } from "../src/model.js";
import { type Plan, planQuantize } from "../src/quant/plan.js";
import { findRecipe } from "../src/quant/recipes.js";
import { execute } from "../src/run/execute.js";
import { scratchFolder, TINY_LLAMA } from "./scratch.js";

const folder = scratchFolder();

/** Type and sha256 of every tensor of the planned file, once it is written. */
async function writtenTensors(
  plan: Plan,
  name: string,
): Promise<Map<string, [dtype: string, sha256: string]>> {
  const output = join(folder, `${name}.gguf`);
  await execute(plan, output, { threads: 0 });
  const bytes = readFileSync(output);
  const digests = plan.tensors.map(({ tensor, dtype, offset, byteLength }) => {
    const digest = createHash("sha256").update(bytes.subarray(offset, offset + byteLength));
    return [tensor.name, [dtype, digest.digest("hex")]] as const;
  });
  return new Map(digests as [string, [string, string]][]);
}

const GOLDEN = new URL("golden/quantize/", import.meta.url);

/** See golden/make/quantize.py. */
interface Golden {
  readonly tensors: readonly string[];
  readonly types: Readonly<Record<string, string>>;
  readonly sha256: Readonly<Record<string, readonly (string | null)[]>>;
}

describe("tiny-llama: every tensor's bytes are llama-quantize's", () => {
  const golden: Golden = JSON.parse(readFileSync(new URL("tiny-llama.json", GOLDEN), "utf8"));
  const imatrix = openImatrix(new URL("tiny-llama.imatrix.gguf", GOLDEN).pathname);

  test.each(Object.keys(golden.types))("%s", async (title) => {
    const [name, guided] = title.split(" ");
    const options = guided === undefined ? {} : { imatrix };
    const plan = planQuantize(openModel(TINY_LLAMA), findRecipe(name!), options);
    const written = await writtenTensors(plan, title);
    const types = golden.types[title]!.split(" ");
    const suffix = guided === undefined ? "" : " imatrix";
    const expected = golden.tensors.map((tensor, i) => [
      tensor,
      types[i],
      golden.sha256[types[i]! + suffix]![i],
    ]);
    const found = golden.tensors.map((tensor) => {
      const [dtype, sha256] = written.get(tensor)!;
      return [tensor, dtype, sha256.slice(0, 16)];
    });
    expect(found).toEqual(expected);
    expect(written.size).toBe(golden.tensors.length);
  });
});

const SHARED = process.env["LLQ_SHARED"] ?? "";
const WIDE = join(SHARED, "data/weights/TinyStories-656K-wide256-gguf/model-f32.gguf");
const WIDE_GOLDEN = join(SHARED, "data/golden/TinyStories-wide256.llama-quantize.json");

describe.skipIf(!existsSync(WIDE_GOLDEN))(
  "TinyStories widened to 256 (LLQ_SHARED, llama.cpp of Feb 2025)",
  () => {
    const { recipes }: { recipes: Record<string, Record<string, [string, number, string]>> } = existsSync(
      WIDE_GOLDEN,
    )
      ? JSON.parse(readFileSync(WIDE_GOLDEN, "utf8"))
      : { recipes: {} };

    test.each(Object.keys(recipes))("%s", async (name) => {
      const written = await writtenTensors(planQuantize(openModel(WIDE), findRecipe(name)), `wide-${name}`);
      const expected = Object.entries(recipes[name]!).map(([tensor, [dtype, , sha256]]) => [
        tensor,
        [dtype, sha256],
      ]);
      expect(Object.fromEntries(written)).toEqual(Object.fromEntries(expected));
    });
  },
);
