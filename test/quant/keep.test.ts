import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Metadata } from "../../formats/container.js";
import { DTYPES, type DTypeName } from "../../formats/dtype.js";
import { ggufHeader, meta } from "../../formats/gguf/gguf-write.js";
import { openModel } from "../../src/model.js";
import { planConvert, planKeep, planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { splitBySize } from "../../src/quant/split.js";
import { execute, executeParts } from "../../src/run/write/execute.js";
import { changedCheckpoint } from "../support/checkpoint.js";
import { GOLDEN_FAMILIES } from "../support/families.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// A conversion of a GGUF to nothing in particular is a copy: of each tensor the type and the bytes, of the metadata all.
const scratch = scratchFolder();
const golden = (name: string) => new URL(`../golden/checkpoints/${name}`, import.meta.url).pathname;
const WITHOUT_THREADS = { threads: 0, force: true };

/** Type and bytes of each tensor, in the order of the files. */
function tensorsOf(path: string): Map<string, string> {
  const { container } = openModel(path);
  const descriptors = container.files.map((file) => openSync(file, "r"));
  const found = [...container.tensors].map(
    ([name, { file, offset, byteLength, dtype }]): [string, string] => {
      const bytes = Buffer.alloc(byteLength);
      readSync(descriptors[file]!, bytes, 0, byteLength, offset);
      return [name, `${dtype} ${createHash("sha1").update(bytes).digest("hex")}`];
    },
  );
  for (const fd of descriptors) closeSync(fd);
  return new Map(found);
}

const shown = (metadata: Metadata) =>
  [...metadata].map(([key, { type, value }]) => [
    key,
    type,
    JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : v)),
  ]);

/** A model that has a matrix of every type that GGUF knows; their bytes are any that mean finite numbers. */
async function everyTypeGguf(): Promise<string> {
  const plain = join(scratch, "plain.gguf");
  await execute(planConvert(openModel(TINY_LLAMA), findRecipe("F32")), plain, WITHOUT_THREADS);
  const types = DTYPES.filter((row) => "ggml" in row).map(({ name }) => name);
  const { metadata, tensors } = openModel(plain);
  let next = 0;
  const infos = tensors.map(({ name, shape }) => {
    const dtype: DTypeName = shape.length > 1 ? types[next++ % types.length]! : "F32";
    return { name, shape, dtype };
  });
  expect(next).toBeGreaterThanOrEqual(types.length - 1);
  const aligned = new Map([...metadata, ["general.alignment", meta.u32(64)] as const]);
  const { header, byteLength } = ggufHeader(aligned, infos);
  const bytes = Buffer.alloc(byteLength).map((_, i) => (i * 13) % 64);
  bytes.set(header);
  const path = join(scratch, "every-type.gguf");
  writeFileSync(path, bytes);
  return path;
}

describe("a copy of a GGUF", () => {
  test("of every type", async () => {
    const path = await everyTypeGguf();
    const [copy, split, merged] = ["copy", "split", "merged"].map((name) =>
      join(scratch, `${name}.gguf`),
    ) as [string, string, string];
    await execute(planKeep(openModel(path)), copy, WITHOUT_THREADS);
    expect(tensorsOf(copy)).toEqual(tensorsOf(path));
    expect(shown(openModel(copy).metadata)).toEqual(shown(openModel(path).metadata));
    const parts = splitBySize(planKeep(openModel(path)), split, 1e6);
    expect(parts.length).toBeGreaterThan(1);
    await executeParts(parts, WITHOUT_THREADS);
    expect(tensorsOf(parts[0]!.output)).toEqual(tensorsOf(path));
    await execute(planKeep(openModel(parts[0]!.output)), merged, WITHOUT_THREADS);
    expect(readFileSync(merged).equals(readFileSync(copy))).toBe(true);
  });

  test("of a quantized model, by the command, with metadata set", async () => {
    const path = join(scratch, "q4_k_m.gguf");
    await execute(planQuantize(openModel(TINY_LLAMA), findRecipe("Q4_K_M")), path, WITHOUT_THREADS);
    const output = join(scratch, "named.gguf");
    const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;
    const args = [cli, "convert", path, "-o", output, "--override-kv", "general.name=str:Mine", "--json"];
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(status).toBe(0);
    expect(JSON.parse(stdout).recipe).toBe("as stored");
    expect(tensorsOf(output)).toEqual(tensorsOf(path));
    const expected = new Map(openModel(path).metadata).set("general.name", meta.string("Mine"));
    expect(shown(openModel(output).metadata)).toEqual(shown(expected));
  });

  test("llama-gguf-split's parts, merged, are the file it cut", async () => {
    const output = join(scratch, "llama.cpp.gguf");
    await execute(
      planKeep(openModel(golden("gguf-split/model-00001-of-00003.gguf"))),
      output,
      WITHOUT_THREADS,
    );
    expect(tensorsOf(output)).toEqual(tensorsOf(golden("gguf/model.gguf")));
    expect(shown(openModel(output).metadata)).toEqual(shown(openModel(golden("gguf/model.gguf")).metadata));
  });
});

test("a checkpoint's matrices keep their types, each its own", async () => {
  const folder = changedCheckpoint(join(GOLDEN_FAMILIES, "llama"), join(scratch, "mixed"), {
    tensors: (tensors) => {
      const name = "model.layers.1.mlp.up_proj.weight";
      const { shape, bytes } = tensors.get(name)!;
      const wide = Buffer.alloc(2 * bytes.length);
      for (let i = 0; i < bytes.length; i += 2) wide.set([1, 0, bytes[i]!, bytes[i + 1]!], 2 * i); // more than BF16 holds
      return new Map([...tensors, [name, { dtype: "F32", shape, bytes: wide }]]);
    },
  });
  const plan = planKeep(openModel(folder));
  const types = new Map(plan.tensors.map(({ tensor, dtype }) => [tensor.name, dtype]));
  expect(types.get("blk.1.ffn_up.weight")).toBe("F32");
  expect(types.get("blk.0.ffn_up.weight")).toBe("BF16");
  expect(plan.recipe).toBe("as stored");
  expect(planKeep(openModel(join(GOLDEN_FAMILIES, "llama"))).recipe).toBe("BF16");
});
