import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { storedType, unpackWeights } from "../../../src/rows/packed/index.js";
import { refusal } from "../../support/build/build.js";
import { attack } from "../../support/damage.js";
import { scratchFolder } from "../../support/scratch.js";
import { altered, packedTarget, rowsOf, sha256, unpack } from "./unpacked.js";

const golden: Record<string, [number[], string]> = JSON.parse(
  readFileSync("test/golden/containers/packed-hqq.json", "utf8"),
);
const told = { quantization_config: { quant_method: "hqq", quant_config: {} } };
const folder = scratchFolder();

test.each(Object.entries(golden))("%s is what hqq dequantizes", (name, [shape, hash]) => {
  for (const config of [told, {}]) {
    const container = unpack("hqq", config);
    const source = container.tensors.get(`${name}.weight`)!;
    expect(source.shape).toEqual(shape);
    for (const step of [1, 5, 1000]) expect(sha256(rowsOf(container, source, step)), `${step}`).toBe(hash);
    expect(storedType({ dtype: "F32", sources: [source] })).toMatch(/^HQQ-[12348]$/);
  }
});

test("nothing is left beside weights and biases", () => {
  const left = [...unpack("hqq", told).tensors.keys()].filter((name) => !name.endsWith(".weight"));
  expect(left).toEqual(["half.bias"]);
});

/** The file with the bytes of a tensor changed. */
function withBytes(tensor: string, change: (bytes: Buffer) => void): Uint8Array {
  const path = "test/golden/containers/packed-hqq.safetensors";
  const bytes = readFileSync(path);
  const { offset, byteLength } = openContainer(path).raw!.get(tensor)!;
  change(bytes.subarray(offset, offset + byteLength));
  return bytes;
}

// biome-ignore format: rows
const bad: [string, Uint8Array, string][] = [
  ["another packing",           withBytes("half.packing", (b) => b.write("9bit_u8")),              "unsupported: PATH: half of HQQ's packing 9bit_u8"],
  ["scales that are quantized", withBytes("half.quant_scale", (b) => b.writeUInt8(1)),             "unsupported: PATH: half with quant_scale"],
  ["zeros that are quantized",  withBytes("half.quant_zero", (b) => b.writeUInt8(1)),              "unsupported: PATH: half with quant_zero"],
  ["another axis",              withBytes("half.axis", (b) => b.writeInt32LE(2)),                  "unsupported: PATH: half with groups of axis 2"],
  ["groups of no elements",     withBytes("half.group_size", (b) => b.writeInt32LE(0)),            "half of 8 x 128 is no whole number of groups of 0"],
  ["groups of -64",             withBytes("half.group_size", (b) => b.writeInt32LE(-64)),          "groups of -64"],
  ["groups of another size",    withBytes("half.group_size", (b) => b.writeInt32LE(32)),           "half.scale has 16 numbers of 32"],
  ["a shape of other numbers",  withBytes("half.shape", (b) => b.writeBigInt64LE(16n)),            "half.W_q has room for 1024 numbers of 2048"],
  ["a shape of no rows",        withBytes("half.shape", (b) => b.writeBigInt64LE(0n)),             "half.shape is 0 x 128"],
  ["no shape",                  altered("hqq", '"half.shape"', '"half.shabe"'),                    "half.shape is missing"],
  ["no codes",                  altered("hqq", '"half.W_q"', '"half.W_x"'),                        "half.W_q has room for 0 numbers of 1024"],
  ["no zeros",                  altered("hqq", '"half.zero"', '"half.zera"'),                      "half.zero is missing"],
];
test.each(bad)("%s: refused", (_, bytes, expected) => {
  const path = join(folder, "bad.safetensors");
  writeFileSync(path, bytes);
  expect(refusal(() => unpackWeights(openContainer(path), "config.json", told))).toContain(
    expected.replace("PATH", path),
  );
});

test("damage never gets through as anything but a refusal", () => {
  const { accepted, refused } = attack(packedTarget("hqq", folder, told), 200, 1);
  expect(Math.min(accepted, refused)).toBeGreaterThan(0);
});
