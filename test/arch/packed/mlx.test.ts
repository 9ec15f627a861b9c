import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { storedType, unpackWeights } from "../../../src/rows/packed/index.js";
import { refusal } from "../../support/build/build.js";
import { attack } from "../../support/damage.js";
import { scratchFolder } from "../../support/scratch.js";
import { altered, packedTarget, rowsOf, sha256, unpack } from "./unpacked.js";

const { quantization, sha256: golden }: { quantization: object; sha256: Record<string, [number[], string]> } =
  JSON.parse(readFileSync("test/golden/containers/packed-mlx.json", "utf8"));
const names = Object.keys(golden).map((name) => `${name}.weight`);
const folder = scratchFolder();

test.each(Object.entries(golden))("%s is what MLX dequantizes", (name, [shape, hash]) => {
  const container = unpack("mlx", { quantization });
  const source = container.tensors.get(`${name}.weight`)!;
  expect(source.shape).toEqual(shape);
  for (const step of [1, 4, 1000]) expect(sha256(rowsOf(container, source, step)), `${step}`).toBe(hash);
  expect([...container.tensors.keys()].sort()).toEqual([...names].sort());
  expect(storedType({ dtype: "F32", sources: [source] })).toMatch(
    /^(MLX-[1234568]|(NV|MX)FP4-packed|F8_E4M3)$/,
  );
});

test("the configuration under its other name, and of modules that were wrapped", () => {
  const wrapped = Object.entries(quantization).map(([key, said]) => [
    typeof said === "object" ? `language_model.${key}` : key,
    said,
  ]);
  const container = unpack("mlx", { quantization, quantization_config: Object.fromEntries(wrapped) });
  const source = container.tensors.get("bits3-32.weight")!;
  expect(sha256(rowsOf(container, source, 1000))).toBe(golden["bits3-32"]![1]);
});

// biome-ignore format: rows
const bad: [string, object, string][] = [
  ["another mode",                  { ...quantization, mxfp4: { bits: 4, group_size: 32, mode: "mxfp6" } }, "unsupported: test/golden/containers/packed-mlx.safetensors: mxfp4.weight of MLX's mode mxfp6, 4 bits in groups of 32"],
  ["a mode with other groups",      { ...quantization, mxfp4: { bits: 4, group_size: 16, mode: "mxfp4" } }, "of MLX's mode mxfp4, 4 bits in groups of 16"],
  ["floats' mode of integers",      { ...quantization, bits2: { bits: 2, group_size: 64, mode: "nvfp4" } }, "bits2.weight has scales that are floats, and is of the mode nvfp4"],
  ["integers' mode of floats",      { ...quantization, mxfp4: { bits: 4, group_size: 32 } }, "mxfp4.weight has scales that are bytes, and is of the mode affine"],
  ["one mode of floats of another", { ...quantization, mxfp4: { bits: 4, group_size: 16, mode: "nvfp4" } }, "mxfp4.scales of mxfp4.weight of 6 x 12 words in nvfp4, is U8 of 6 x 3"],
  ["8 bits of 4",                   { ...quantization, mxfp4: { bits: 8, group_size: 32, mode: "mxfp8" } }, "mxfp4.scales of mxfp4.weight of 6 x 12 words in mxfp8, is U8 of 6 x 3"],
  ["7 bits",                        { ...quantization, bits2: { bits: 7, group_size: 64 } }, "bits2.weight of 7 bits"],
  ["other bits",                    { ...quantization, bits2: { bits: 4, group_size: 64 } }, "bits2.scales of bits2.weight of 6 x 8 words, 4 bits in groups of 64, is 6 x 2"],
  ["groups of another size",        { ...quantization, bits2: { bits: 2, group_size: 32 } }, "2 bits in groups of 32, is 6 x 2"],
  ["groups of no columns",          { ...quantization, group_size: 0 },              "bad-input: config.json: quantization_config: group_size"],
  ["no bits",                       { group_size: 64 },                              "bad-input: config.json: quantization_config: bits"],
  ["a field that nobody knows",     { ...quantization, rotation: "hadamard" },       "quantization_config: rotation"],
  ["a field of a module's",         { ...quantization, bits2: { bits: 2, group_size: 64, shift: 1 } }, "quantization_config: bits2"],
];
test.each(bad)("%s: refused", (_, said, expected) => {
  expect(refusal(() => unpack("mlx", { quantization: said }))).toContain(expected);
});

test("nothing said: MLX is named, and what to do", () => {
  expect(refusal(() => unpack("mlx"))).toBe(
    "unsupported: test/golden/containers/packed-mlx.safetensors: bits1.weight is packed by MLX, in words of unknown bits",
  );
});

test("a largest number that no weight of its mode has, or of another count: refused", () => {
  const largest = (name: string, from: string) => {
    const container = openContainer("test/golden/containers/packed-mlx.safetensors");
    const tensors = new Map(container.tensors).set(`${name}.global_scale`, container.tensors.get(from)!);
    return refusal(() => unpackWeights({ ...container, tensors }, "config.json", { quantization }));
  };
  expect(largest("mxfp4", "largest.global_scale")).toContain(
    "unsupported: test/golden/containers/packed-mlx.safetensors: mxfp4.global_scale of MLX's mode mxfp4",
  );
  expect(largest("largest", "experts-largest.global_scale")).toContain(
    "bad-input: test/golden/containers/packed-mlx.safetensors: largest.global_scale of 1 matrices is 3",
  );
});

test.each(["scales", "biases"])("%s that are missing: refused", (part) => {
  const path = join(folder, "bad.safetensors");
  writeFileSync(path, altered("mlx", `"bits2.${part}"`, `"bits2.${part.toUpperCase()}"`));
  expect(refusal(() => unpackWeights(openContainer(path), "config.json", { quantization }))).toContain(
    `bad-input: ${path}: bits2.${part} is missing`,
  );
});

test("damage never gets through as anything but a refusal", () => {
  const { accepted, refused } = attack(packedTarget("mlx", folder, { quantization }), 500, 1);
  expect(Math.min(accepted, refused)).toBeGreaterThan(0);
});
