import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { layerNumberKeys } from "../../../src/arch/checkpoint/layer-numbers.js";
import { buildSafetensors, refusal } from "../../support/build/build.js";
import { scratchFolder } from "../../support/scratch.js";

const folder = scratchFolder();

/** The key of tensors with one number each, of this type and shape, whose bits are given. */
function keys(dtype: string, bits: readonly number[], shape: readonly number[] = [1], count = bits.length) {
  const size = { F32: 4, F16: 2, BF16: 2, F64: 8 }[dtype]!;
  const header = Object.fromEntries(
    bits.map((_, i) => [
      `layer.${i}.alpha`,
      { dtype, shape, data_offsets: [i * size * (shape[0] ?? 1), (i + 1) * size * (shape[0] ?? 1)] },
    ]),
  );
  const data = new DataView(new ArrayBuffer(bits.length * size * (shape[0] ?? 1)));
  for (const [i, each] of bits.entries()) {
    if (size === 4) data.setUint32(i * size, each, true);
    else if (size === 2) data.setUint16(i * size, each, true);
    else data.setBigUint64(i * size, BigInt(each), true);
  }
  const path = join(folder, `${dtype}.safetensors`);
  const file = buildSafetensors(header, data.byteLength);
  file.set(new Uint8Array(data.buffer), file.length - data.byteLength);
  writeFileSync(path, file);
  return layerNumberKeys(openContainer(path), { layerNumbers: { "x.alpha": "layer.{i}.alpha" } }, count);
}

// Bits and what they stand for are the tables of IEEE 754; bfloat16 is the upper half of a binary32.
test.each([
  ["F32", [0x3f800000, 0xbf000000, 0x7f800000], [1, -0.5, Number.POSITIVE_INFINITY]],
  ["BF16", [0x3f80, 0xbfc0, 0x3e20], [1, -1.5, 0.15625]],
  ["F16", [0x3c00, 0xc000, 0x7bff, 0x3555], [1, -2, 65504, 0.333251953125]],
  ["F16", [0x0001, 0x83ff, 0x0000], [2 ** -24, -1023 * 2 ** -24, 0]],
  ["F16", [0x7c00, 0xfc00, 0x7e00], [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]],
])("numbers of layers in %s: %j", (dtype, bits, expected) => {
  expect(keys(dtype, bits)).toEqual([["x.alpha", { type: "array", item: "f32", value: expected }]]);
  expect(keys(dtype, bits, [])).toEqual(keys(dtype, bits));
});

test("a number of no or another form is refused by name", () => {
  expect(refusal(() => keys("F32", [0], [1], 2))).toBe(
    `bad-input: ${join(folder, "F32.safetensors")}: tensor layer.1.alpha is missing`,
  );
  expect(refusal(() => keys("F32", [0], [2]))).toBe(
    "bad-input: tensor layer.0.alpha is 2; one number is needed",
  );
  expect(refusal(() => keys("F64", [7]))).toBe("unsupported: tensor layer.0.alpha is F64");
});
