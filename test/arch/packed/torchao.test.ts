import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { unpackWeights } from "../../../src/rows/packed/index.js";
import { refusal } from "../../support/build/build.js";
import { attack } from "../../support/damage.js";
import { scratchFolder } from "../../support/scratch.js";
import { altered, packedTarget, rowsOf, sha256, unpack } from "./unpacked.js";

const golden: Record<string, [number[], string]> = JSON.parse(
  readFileSync("test/golden/containers/packed-torchao.json", "utf8"),
);
const told = { quantization_config: { quant_method: "torchao", quant_type: { default: {} } } };
const folder = scratchFolder();

test.each(Object.entries(golden))("%s is what torchao dequantizes", (name, [shape, hash]) => {
  for (const config of [told, {}]) {
    const container = unpack("torchao", config);
    const source = container.tensors.get(`${name}.weight`)!;
    expect(source.shape).toEqual(shape);
    for (const step of [1, 5, 1000]) expect(sha256(rowsOf(container, source, step)), `${step}`).toBe(hash);
  }
});

test("nothing is left beside weights and biases", () => {
  const left = [...unpack("torchao", told).tensors.keys()].filter((name) => !name.endsWith(".weight"));
  expect(left).toEqual(["int8-bfloat.bias"]);
});

test("a class that is not decoded: refused by its name", () => {
  expect(refusal(() => unpack("torchao-mx", told))).toMatch(
    /^unsupported: .*mx.weight is torchao's MXTensor/,
  );
});

// biome-ignore format: rows
const bad: [string, from: string, to: string, string][] = [
  ["another class",                 '\\"_type\\": \\"Int8Tensor\\"', '\\"_type\\": \\"Int4Tensor\\"', "is torchao's Int4Tensor"],
  ["no scales",                     '"float8._weight_scale"', '"float8._weight_skale"', "float8._weight_scale is missing"],
  ["scales of no blocks",           '"zeros._weight_scale":{"dtype":"F32","shape":[12,2]', '"zeros._weight_scale":{"dtype":"F32","shape":[8, 3]', "the scales of zeros.weight, 12 x 64, are 8 x 3"],
];
test.each(bad)("%s: refused", (_, from, to, expected) => {
  const path = join(folder, "bad.safetensors");
  writeFileSync(path, altered("torchao", from, to));
  expect(refusal(() => unpackWeights(openContainer(path), "config.json", told))).toContain(expected);
});

test("damage never gets through as anything but a refusal", () => {
  const { accepted, refused } = attack(packedTarget("torchao", folder, told), 300, 1);
  expect(Math.min(accepted, refused)).toBeGreaterThan(0);
});
