import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { unpackWeights } from "../../../src/rows/packed/index.js";
import { refusal } from "../../support/build/build.js";
import { attack } from "../../support/damage.js";
import { scratchFolder } from "../../support/scratch.js";
import { altered, packedTarget, rowsOf, sha256, unpack } from "./unpacked.js";

type Golden = Record<string, [number[], string]>;
const FILES = ["torchao", "torchao-4"] as const;
const read = (file: string): Golden =>
  JSON.parse(readFileSync(`test/golden/containers/packed-${file}.json`, "utf8"));
const golden = FILES.flatMap((file) => Object.entries(read(file)).map((each) => [file, ...each] as const));
const told = { quantization_config: { quant_method: "torchao", quant_type: { default: {} } } };
const folder = scratchFolder();

test.each(golden)("%s: %s is what torchao dequantizes", (file, name, [shape, hash]) => {
  for (const config of [told, {}]) {
    const container = unpack(file, config);
    const source = container.tensors.get(`${name}.weight`)!;
    expect(source.shape).toEqual(shape);
    for (const step of [1, 5, 1000]) expect(sha256(rowsOf(container, source, step)), `${step}`).toBe(hash);
  }
});

test("nothing is left beside weights and biases", () => {
  const left = [...unpack("torchao", told).tensors.keys()].filter((name) => !name.endsWith(".weight"));
  expect(left).toEqual(["int8-bfloat.bias"]);
  expect([...unpack("torchao-4", told).tensors.keys()].every((name) => name.endsWith(".weight"))).toBe(true);
});

// biome-ignore format: rows
const bad: [string, from: string, to: string, string][] = [
  ["another class",                 '\\"_type\\": \\"Int8Tensor\\"', '\\"_type\\": \\"Int4Tensor\\"', "is torchao's Int4Tensor"],
  ["one of tiles",                  '\\"_type\\": \\"Int8Tensor\\"', '\\"_type\\": \\"TileTensor\\"', "is torchao's TileTensor"],
  ["no scales",                     '"float8._weight_scale"', '"float8._weight_skale"', "float8._weight_scale is missing"],
  ["scales of no blocks",           '"zeros._weight_scale":{"dtype":"F32","shape":[12,2]', '"zeros._weight_scale":{"dtype":"F32","shape":[8, 3]', "the scales of zeros.weight, 12 x 64, are 8 x 3"],
];
test.each(bad)("%s: refused", (_, from, to, expected) => {
  const path = join(folder, "bad.safetensors");
  writeFileSync(path, altered("torchao", from, to));
  expect(refusal(() => unpackWeights(openContainer(path), "config.json", told))).toContain(expected);
});

// biome-ignore format: rows
const badFour: [string, from: string, to: string, string][] = [
  ["another class",                 '\\"_type\\": \\"Int4Tensor\\"', '\\"_type\\": \\"Tile4dLike\\"', "is torchao's Tile4dLike"],
  ["elements of 6 bits",            '\\"_data\\": \\"float4_e2m1fn_x2\\"', '\\"_data\\": \\"fp6_e3m2________\\"', "is of torchao's fp6_e3m2"],
  ["groups of another size",        '\\"block_size\\": 32', '\\"block_size\\": 64', "in groups of 64"],
  ["scales of no groups",           '"int4._weight_scale":{"dtype":"BF16","shape":[2,12]', '"int4._weight_scale":{"dtype":"BF16","shape":[12,2]', "int4._weight_scale of 12 x 64 weights is 12 x 2"],
  ["scales of other rows",          '"shape":[130,6]', '"shape":[6,130]', "nvfp4._weight_scale of 130 x 96 weights is 6 x 130"],
  ["no zeros",                      '"int4._weight_zero_point"', '"int4._weight_zero_paint"', "unsupported"],
];
test.each(badFour)("of 4 bits, %s: refused", (_, from, to, expected) => {
  const path = join(folder, "bad.safetensors");
  writeFileSync(path, altered("torchao-4", from, to));
  expect(refusal(() => unpackWeights(openContainer(path), "config.json", told))).toContain(expected);
});

test.each(FILES)("damage to %s never gets through as anything but a refusal", (file) => {
  const { accepted, refused } = attack(packedTarget(file, folder, told), 300, 1);
  expect(Math.min(accepted, refused)).toBeGreaterThan(0);
});
