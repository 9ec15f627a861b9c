import { describe, expect, test } from "vitest";
import {
  dequantize,
  differingRows,
  goldenCases,
  goldenFile,
  goldenFloats,
  quantize,
  sha256,
  typeOf,
} from "./kernels.js";

const TYPES = [
  "f16",
  "bf16",
  "q4_0",
  "q4_1",
  "q5_0",
  "q5_1",
  "q8_0",
  "mxfp4",
  "tq1_0",
  "tq2_0",
  "iq4_nl",
  "iq4_xs",
];

// Byte for byte, in the rows as well where ggml casts infinities to integers: the kernels do as x86 does.
describe.each(TYPES)("%s is ggml's", (kernel) => {
  const type = typeOf(kernel);
  const weights = goldenFloats("imatrix.f32");

  test.each(goldenCases(kernel).filter((c) => !c.imatrix || type.kernels === "weighted"))(
    "$file",
    (golden) => {
      const expected = goldenFile(golden.file);
      const actual = quantize(type, goldenFloats(golden.input), golden.imatrix ? weights : undefined);
      expect(differingRows(actual, expected, golden.row_bytes)).toEqual([]);
      expect(sha256(dequantize(type, expected))).toBe(golden.dequant_sha256_nan7fc00000);
    },
  );
});

// A row of 37 has a tail that vectors do not cover.
describe.each(["f16", "bf16"])("%s takes rows of any length", (kernel) => {
  test("37", () => {
    const x = goldenFloats("normal.f32").subarray(0, 37);
    const expected = goldenFile(`${kernel}.normal.bin`).subarray(0, 74);
    expect(Buffer.from(quantize(typeOf(kernel), x))).toEqual(Buffer.from(expected));
  });
});
