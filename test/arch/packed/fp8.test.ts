import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { storedType, unpackWeights } from "../../../src/rows/packed/index.js";
import { refusal } from "../../support/build/build.js";
import { attack } from "../../support/damage.js";
import { scratchFolder } from "../../support/scratch.js";
import { altered, packedTarget, prefixed, rowsOf, sha256, unpack } from "./unpacked.js";

// 8-bit floats whose scales are powers of two, as DeepSeek and GLM publish them: make/packed_fp8.py.

const golden: Record<string, [number[], string]> = JSON.parse(
  readFileSync("test/golden/containers/packed-fp8-powers.json", "utf8"),
);
const folder = scratchFolder();
const said = (change: object = {}) => ({
  quantization_config: {
    quant_method: "fp8",
    activation_scheme: "dynamic",
    fmt: "e4m3",
    scale_fmt: "ue8m0",
    weight_block_size: [16, 32],
    expert_dtype: "fp4",
    ...change,
  },
});

test.each(Object.entries(golden))("%s is what transformers dequantizes", (name, [shape, hash]) => {
  const container = unpack("fp8-powers", said());
  const source = container.tensors.get(`${name}.weight`)!;
  expect(source.shape).toEqual(shape);
  for (const step of [1, 5, 1000]) expect(sha256(rowsOf(container, source, step)), `${step}`).toBe(hash);
  expect(storedType({ dtype: "F32", sources: [source] })).toBe(
    name === "experts" ? "MXFP4-packed" : "F8_E4M3",
  );
  expect([...container.tensors.keys()].every((each) => each.endsWith(".weight"))).toBe(true);
});

// biome-ignore format: rows
const bad: [string, name: string, object, string][] = [
  ["a field nobody knows",     "blocks",  { rotation: "hadamard" },     "unsupported: config.json: quantization_config has rotation"],
  ["experts said to be of 8",  "experts", { expert_dtype: "fp8" },      "experts.weight is I8 with scales of powers of two"],
  ["experts of another kind",  "experts", { expert_dtype: "int3" },     "bad-input: config.json: quantization_config: expert_dtype"],
  ["blocks of another size",   "blocks",  { weight_block_size: [16, 16] }, "the scales of blocks.weight, 48 x 64, are 3 x 2"],
];
test.each(bad)("%s: refused", (_, name, change, expected) => {
  const container = prefixed(
    openContainer("test/golden/containers/packed-fp8-powers.safetensors"),
    name,
    name,
  );
  expect(refusal(() => unpackWeights(container, "config.json", said(change)))).toContain(expected);
});

test("scales of other rows: refused", () => {
  const path = join(folder, "bad.safetensors");
  const name = '"experts.weight_scale_inv":{"dtype":"F8_E8M0","shape":';
  writeFileSync(path, altered("fp8-powers", `${name}[16,2]`, `${name}[2,16]`));
  expect(refusal(() => unpackWeights(openContainer(path), "config.json", said()))).toContain(
    "the scales of experts.weight, 16 x 64, are 2 x 16",
  );
});

test("damage never gets through as anything but a refusal", () => {
  const { accepted, refused } = attack(packedTarget("fp8-powers", folder, said()), 300, 1);
  expect(Math.min(accepted, refused)).toBeGreaterThan(0);
});
