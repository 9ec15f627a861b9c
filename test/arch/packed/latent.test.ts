import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { TensorSource } from "../../../formats/container.js";
import { openContainer } from "../../../formats/open.js";
import { withoutLatentPairs } from "../../../src/arch/checkpoint/latent.js";
import { deepseek2 } from "../../../src/arch/families/deepseek2.js";
import type { HParams } from "../../../src/arch/hparams.js";
import { openModel } from "../../../src/model.js";
import { planConvert } from "../../../src/quant/plan.js";
import { findRecipe } from "../../../src/quant/recipes/recipes.js";
import { isAcross, rowsOf as partOf, storedType } from "../../../src/rows/packed/index.js";
import { execute } from "../../../src/run/write/execute.js";
import { refusal } from "../../support/build/build.js";
import { scratchFolder } from "../../support/scratch.js";
import { rowsOf, sha256, unpack } from "./unpacked.js";

// Of what makes keys and values of a latent, GGUF has the key's half with rows for columns.

const families = new URL("../../golden/families/", import.meta.url).pathname;

test.each(["deepseek-v3-fp8", "mistral3-mistral4-fp8"])(
  "%s becomes the bytes of llama.cpp's converter",
  async (family) => {
    const folder = join(families, family);
    const output = join(scratchFolder(), "fp8.gguf");
    await execute(planConvert(openModel(folder), findRecipe("F32")), output, { threads: 0 });
    const bytes = readFileSync(output);
    const written = Array.from(openContainer(output).tensors, ([name, { dtype, offset, byteLength }]) => {
      const own = bytes.subarray(offset, offset + byteLength);
      return [name, [dtype, createHash("sha256").update(own).digest("hex")]];
    });
    const golden = JSON.parse(readFileSync(join(folder, "converter.json"), "utf8"));
    expect(Object.fromEntries(written)).toEqual(golden);
  },
);

test("of a packed layer behind the last one nothing is left", () => {
  const { container } = openModel(join(families, "deepseek-v3-fp8"));
  expect(container.leftOut).toContain("model.layers.2.self_attn.kv_b_proj.weight");
});

const awq = { quant_method: "awq", bits: 4, group_size: 32, version: "gemm", zero_point: true };
const gptq = { quant_method: "gptq", bits: 8, group_size: 32, desc_act: true };
const compressed = JSON.parse(readFileSync("test/golden/containers/packed-ct-0.20.0.json", "utf8"));
const { quantization } = JSON.parse(readFileSync("test/golden/containers/packed-mlx.json", "utf8"));
const mlx = { quantization, quantization_config: quantization };
// biome-ignore format: columns
const packed: [file: string, name: string, type: string, config: object][] = [
  ["fp8",          "blocks",  "F8_E4M3",  { quantization_config: { quant_method: "fp8", weight_block_size: [128, 128] } }],
  ["gptq-8",       "eight",   "GPTQ-8",   { quantization_config: gptq }],
  ["awq",          "awq",     "AWQ-4",    { quantization_config: awq }],
  ["ct-0.20.0",    "four",    "INT4", compressed],
  ["ct-0.20.0",    "nvfp4",   "NVFP4-packed", compressed],
  ["bitsandbytes", "between", "NF4",      {}],
  ["bitsandbytes", "int8",    "I8",       {}],
  ["mlx",          "bits4",    "MLX-4",    mlx],
  ["hqq",          "bits4-1",    "HQQ-4",    {}],
];

test.each(packed)("%s: %s has its halves wherever it is packed", (file, name, type, config) => {
  const all = unpack(file, config);
  const whole = all.tensors.get(`${name}.weight`)!;
  const [rows, rank] = whole.shape as [number, number];
  const heads = rows % 2 === 0 ? 2 : 1;
  const each = rows / heads;
  const key = Math.floor(each / 3);
  const value = each - key;
  const latent = { rank, keyLength: key + 1, valueLength: value };
  const hparams = { headCount: heads, latent, ropeDimensionCount: 1 } as HParams;
  const container = { ...all, tensors: new Map([["a.kv_b_proj.weight", whole]]) };
  const { tensors } = withoutLatentPairs(container, deepseek2, hparams);
  const [k, v] = [tensors.get("a.k_b_proj.weight")!, tensors.get("a.v_b_proj.weight")!];
  expect([k.shape, v.shape]).toEqual([[heads, rank, key], [heads, value, rank]]); // biome-ignore format: one line
  const at = rowsOf(all, whole, 1000);
  const ofKeys = Array.from({ length: heads * rank * key }, (_, i) => {
    const [head, row, column] = [Math.floor(i / (rank * key)), Math.floor(i / key) % rank, i % key];
    return at[(head * each + column) * rank + row]!;
  });
  const ofValues = Array.from({ length: heads * value * rank }, (_, i) => {
    const [head, row] = [Math.floor(i / (value * rank)), Math.floor(i / rank) % value];
    return at[(head * each + key + row) * rank + (i % rank)]!;
  });
  for (const step of [1, 5, 1000]) {
    expect([...rowsOf(all, k, step)]).toEqual(ofKeys);
    expect([...rowsOf(all, v, step)]).toEqual(ofValues);
  }
  expect(storedType({ dtype: "F32", sources: [k] })).toBe(type);
  expect(isAcross(k)).toBe(true);
});

test.each([
  ["a row too many", [25, 5]],
  ["a rank too large", [24, 6]],
  ["heads apart", [2, 12, 5]],
])("keys and values of another shape are refused: %s", (_, shape) => {
  // 2 heads, each with 4 rows of keys and 8 of values, of a latent of 5.
  const latent = { rank: 5, keyLength: 5, valueLength: 8 };
  const hparams = { headCount: 2, latent, ropeDimensionCount: 1 } as HParams;
  const source = { file: "x", offset: 0, byteLength: 0, dtype: "F32", shape } as const;
  const container = {
    ...unpack("fp8", packed[0]![3]),
    tensors: new Map([["a.kv_b_proj.weight", source as unknown as TensorSource]]),
  };
  expect(refusal(() => withoutLatentPairs(container, deepseek2, hparams))).toBe(
    `bad-input: tensor a.kv_b_proj.weight is ${shape.join(" x ")}; the configuration asks for 24 x 5`,
  );
});

test("experts in FP8 that are stacked are what transformers dequantizes, together and one by one", () => {
  const hashes: Record<string, [number[], string]> = JSON.parse(
    readFileSync("test/golden/containers/packed-fp8-stacks.json", "utf8"),
  );
  const told = { quantization_config: { quant_method: "fp8", weight_block_size: [4, 8] } };
  const all = unpack("fp8-stacks", told);
  expect([...all.tensors.keys()].sort()).toEqual(Object.keys(hashes).sort());
  for (const [name, [shape, hash]] of Object.entries(hashes)) {
    const stacked = all.tensors.get(name)!;
    expect(stacked.shape).toEqual(shape);
    for (const step of [1, 4, 1000]) expect(sha256(rowsOf(all, stacked, step))).toBe(hash);
    const [experts, rows, columns] = shape as [number, number, number];
    const matrix = { ...stacked, shape: [experts * rows, columns] };
    const parts = Array.from({ length: experts }, (_, e) => rowsOf(all, partOf(matrix, e * rows, rows), 3));
    expect(sha256(Float32Array.from(parts.flatMap((part) => [...part])))).toBe(hash);
  }
});

test("scales of stacked experts that do not fit are refused", () => {
  const told = { quantization_config: { quant_method: "fp8", weight_block_size: [4, 5] } };
  expect(refusal(() => unpack("fp8-stacks", told))).toContain("the scales of blocks.experts");
});
