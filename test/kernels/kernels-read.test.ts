import { expect, test } from "vitest";
import { DTYPES, type DType } from "../../formats/dtype.js";
import { dequantize, goldenFile, sha256 } from "../support/kernels.js";

const types: readonly DType[] = DTYPES.filter((row) => row.blockSize > 1);

// Random bytes number every entry of every grid, and no scale, sign or NaN is left out: more than any quantizer writes.
test.each(types)("$name reads any block as ggml does", (type) => {
  const blocks = goldenFile("any.bin");
  const expected = JSON.parse(goldenFile("any.json").toString()) as Record<string, string>;
  const whole = blocks.subarray(0, blocks.length - (blocks.length % type.typeSize));
  expect(sha256(dequantize(type, whole))).toBe(expected[type.kernel]);
});
