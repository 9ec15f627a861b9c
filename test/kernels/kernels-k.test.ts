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
} from "../support/kernels.js";

const TYPES = ["q2_k", "q3_k", "q4_k", "q5_k", "q6_k"];

// Byte for byte, in the stress rows too where scales are zero or infinite and ggml's nearest_int is out of its range.
describe.each(TYPES)("%s is ggml's", (kernel) => {
  const type = typeOf(kernel);
  const weights = goldenFloats("imatrix.f32");

  test.each(goldenCases(kernel))("$file", (golden) => {
    const expected = goldenFile(golden.file);
    const actual = quantize(type, goldenFloats(golden.input), golden.imatrix ? weights : undefined);
    expect(differingRows(actual, expected, golden.row_bytes)).toEqual([]);
    expect(sha256(dequantize(type, expected))).toBe(golden.dequant_sha256_nan7fc00000);
  });
});
