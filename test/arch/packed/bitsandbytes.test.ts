import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { storedType, unpackWeights } from "../../../src/rows/packed/index.js";
import { refusal } from "../../support/build/build.js";
import { attack } from "../../support/damage.js";
import { scratchFolder } from "../../support/scratch.js";
import { altered, packedTarget, rowsOf, sha256, unpack } from "./unpacked.js";

const golden: Record<string, [number[], string]> = JSON.parse(
  readFileSync("test/golden/containers/packed-bitsandbytes.json", "utf8"),
);
const names = Object.keys(golden).map((name) => `${name}.weight`);
const told = { quantization_config: { quant_method: "bitsandbytes", load_in_4bit: true } };
const folder = scratchFolder();

describe.each([
  ["as config.json says", told],
  ["as the tensors say", {}],
])("weights are what bitsandbytes dequantizes, %s", (_, config) => {
  test.each(Object.entries(golden))("%s", (name, [shape, hash]) => {
    const container = unpack("bitsandbytes", config);
    const source = container.tensors.get(`${name}.weight`)!;
    expect(source.shape).toEqual(shape);
    for (const step of [1, 3, 8, 1000]) expect(sha256(rowsOf(container, source, step)), `${step}`).toBe(hash);
    expect([...container.tensors.keys()].sort()).toEqual([...names].sort());
  });
});

test("types have names", () => {
  const { tensors } = unpack("bitsandbytes", told);
  const types = names.map((name) => storedType({ dtype: "F32", sources: [tensors.get(name)!] }));
  expect(types).toEqual(["NF4", "FP4", "NF4", "NF4", "NF4", "NF4", "FP4", "I8"]);
});

// biome-ignore format: rows
const bad: [string, from: string, to: string, string][] = [
  ["codes of another type",          '"quant_type": "nf4"', '"quant_type": "nf5"', "quant_type: Invalid type"],
  ["a field that nobody knows",      '"dtype": ', '"dtypo": ', "dtypo"],
  ["a state that is no JSON",        '{"quant_type": "nf4"', '["quant_type": "nf4"', "not valid JSON"],
  ["blocks of no elements",          '"blocksize": 64', '"blocksize": 00', "not valid JSON"],
  ["blocks of another size",         '"nf4", "blocksize": 64', '"nf4", "blocksize": 32', "numbers of"],
  ["more numbers than bytes",        '"shape": [130, 128]', '"shape": [930, 128]', "for 119040 numbers of 4 bits"],
  ["a map that is missing",          '"odd.weight.quant_map"', '"odd.weight.quant_mop"', "odd.weight.quant_map is missing"],
  ["scales that are missing",        '"odd.weight.absmax"', '"odd.weight.abslux"', "odd.weight.absmax is missing"],
  ["no weight",                      '"odd.weight":', '"odd.weighs":', "odd.weight has 0 bytes"],
  ["no nested scales",               '"stored.weight.nested_absmax"', '"stored.weight.nested_abslux"', "stored.weight.nested_absmax is missing"],
  ["single quantization said",       '"nested_blocksize"', '"nosted_blocksize"', "nosted_blocksize"],
  ["nested scales of another type",  '"nested_dtype": "float32"', '"nested_dtype": "float16"', "nested_dtype"],
];
test.each(bad)("%s: refused", (_, from, to, expected) => {
  const path = join(folder, "bad.safetensors");
  writeFileSync(path, altered("bitsandbytes", from, to));
  const message = refusal(() => unpackWeights(openContainer(path), "config.json", told));
  expect(message).toMatch(/^(bad-input|unsupported): /);
  expect(message).toContain(expected);
});

test("int8 in the order of a GPU: refused", () => {
  const bytes = readFileSync("test/golden/containers/packed-bitsandbytes.safetensors");
  const source = openContainer("test/golden/containers/packed-bitsandbytes.safetensors").raw!.get(
    "int8.weight_format",
  )!;
  bytes[source.offset] = 2;
  const path = join(folder, "order.safetensors");
  writeFileSync(path, bytes);
  expect(refusal(() => unpackWeights(openContainer(path), "config.json", told))).toContain(
    "int8.weight in the order 2 of a GPU",
  );
});

test("damage never gets through as anything but a refusal", () => {
  const { accepted, refused } = attack(packedTarget("bitsandbytes", folder, told), 300, 1);
  expect(Math.min(accepted, refused)).toBeGreaterThan(0);
});
