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

// ggml: weights of 1e-15 and more are searched, and scales under 1e-15 (GROUP_MAX_EPS, both) make a block of zeros.
test.each([undefined, new Float32Array(256).fill(1)])("q6_k with scales under 1e-15 is zeros", (weights) => {
  const type = typeOf("q6_k");
  const wave = (height: number) => Float32Array.from({ length: 256 }, (_, i) => height * Math.sin(i));
  // Of 16 weights the largest has level -32: a scale is at most a 31st of it.
  expect(quantize(type, wave(2e-14), weights).every((byte) => byte === 0)).toBe(true);
  expect(quantize(type, wave(4e-14), weights).every((byte) => byte === 0)).toBe(false);
});
