import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { unpackWeights } from "../../../src/rows/packed/index.js";
import { refusal } from "../../support/build/build.js";
import { attack } from "../../support/damage.js";
import { scratchFolder } from "../../support/scratch.js";
import { altered, packedTarget, prefixed, rowsOf, sha256 } from "./unpacked.js";

// AWQ in the orders of its kernels for one token, and GPTQ in planes of bits: make/packed_rows.py.

type Golden = Record<string, [number[], string]>;
const golden = (file: string): [string, [number[], string]][] =>
  Object.entries(JSON.parse(readFileSync(`test/golden/containers/packed-${file}.json`, "utf8")) as Golden);
const folder = scratchFolder();

const awq = (name: string, change: object = {}) => {
  const [kind, size] = name.split("-");
  const version = kind === "fast" ? "gemv_fast" : "gemv";
  return {
    quantization_config: { quant_method: "awq", bits: 4, group_size: Number(size), version, ...change },
  };
};
const gptq = (bits: number, change: object = {}) => ({
  quantization_config: { quant_method: "gptq", bits, group_size: 32, checkpoint_format: "gptq_p", ...change },
});
/** One layer of a file, called x. */
const layer = (file: string, name: string) =>
  prefixed(openContainer(`test/golden/containers/packed-${file}.safetensors`), `${name}.`, "x.");

test.each(golden("awq-rows"))("AWQ %s is what was packed", (name, [shape, hash]) => {
  const whole = unpackWeights(layer("awq-rows", name), "c", awq(name));
  const source = whole.tensors.get("x.weight")!;
  expect(source.shape).toEqual(shape);
  for (const step of [1, 3, 1000]) expect(sha256(rowsOf(whole, source, step)), `${step}`).toBe(hash);
  expect([...whole.tensors.keys()]).toEqual(["x.weight"]);
});

test.each(golden("gptq-planes"))("GPTQ in planes, %s, is what GPTQModel unpacks", (name, [shape, hash]) => {
  const container = unpackWeights(layer("gptq-planes", name), "c", gptq(Number(name.slice(4))));
  const source = container.tensors.get("x.weight")!;
  expect(source.shape).toEqual(shape);
  for (const step of [1, 7, 1000]) expect(sha256(rowsOf(container, source, step)), `${step}`).toBe(hash);
});

// biome-ignore format: rows
const bad: [string, file: string, layer: string, object, string][] = [
  ["rows said to be columns",  "awq-rows", "gemv-32", awq("gemv-32", { version: "gemm" }), "unsupported: x: AWQ packed for gemm, with tensors of another shape"],
  ["another order",            "awq-rows", "fast-32", awq("fast-32", { version: "gemv" }), "unsupported: x: AWQ packed for gemv, with tensors of another shape"],
  ["other bits",               "awq-rows", "gemv-32", awq("gemv-32", { bits: 3 }),         "unsupported: x: AWQ with 3 bits"],
  ["groups of another size",   "awq-rows", "gemv-32", awq("gemv-32", { group_size: 36 }),  "bad-input: x: x.qweight has 96 columns, no whole groups of 36"],
  ["more groups than scales",  "awq-rows", "fast-64", awq("fast-64", { group_size: 2 }),   "bad-input: x: x.scales is 16 x 24; 32 groups of 24 rows were expected"],
  ["9 bits",                   "gptq-planes", "bits8", gptq(9),                            "unsupported: x: GPTQ with 9 bits"],
  ["5 bits in a line",         "gptq-planes", "bits5", gptq(5, { checkpoint_format: "gptq" }), "unsupported: x: GPTQ with 5 bits"],
  ["halves of planes",         "gptq-planes", "bits2", gptq(4),                            "bad-input: x: x.qzeros is 2 x 2; 1 groups of 32 rows were expected"],
];
test.each(bad)("%s: refused", (_, file, name, config, expected) => {
  expect(refusal(() => unpackWeights({ ...layer(file, name), files: ["x"] }, "c", config))).toContain(
    expected,
  );
});

test("tensors that are missing: refused", () => {
  const path = join(folder, "bad.safetensors");
  writeFileSync(path, altered("awq-rows", '"fast-32.qzeros"', '"fast-32.qzero5"'));
  expect(
    refusal(() => unpackWeights(prefixed(openContainer(path), "fast-32.", "x."), "c", awq("fast-32"))),
  ).toContain("x.qzeros is missing, or no float");
});

test.each([
  ["awq-rows", awq("fast-32")],
  ["awq-rows", awq("gemv-32")],
  ["gptq-planes", gptq(5)],
] as const)("damage to %s never gets through as anything but a refusal", (file, config) => {
  const { quantization_config: said } = config;
  const name =
    said.quant_method === "gptq"
      ? "bits5."
      : "version" in said && said.version === "gemv"
        ? "gemv-32."
        : "fast-32.";
  const target = packedTarget(file, folder, config, name, "x.");
  const { accepted, refused } = attack(target, 200, 1);
  expect(Math.min(accepted, refused)).toBeGreaterThan(0);
});
