import { describe, expect, test } from "vitest";
import { Kernels } from "../../src/kernels/kernels.js";
import {
  dequantize,
  differingRows,
  goldenCases,
  goldenFile,
  goldenFloats,
  sha256,
  typeOf,
} from "../support/kernels.js";

const TYPES = ["iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "nvfp4", "q1_0", "q2_0"];
const WEIGHTS = goldenFloats("imatrix.f32");

/** Rows as blocks, by kernels whose tables of codebooks stand where they come to stand. */
function quantize(kernels: Kernels, kernel: string, x: Float32Array, weights?: Float32Array): Uint8Array {
  const type = typeOf(kernel);
  const length = WEIGHTS.length;
  const bytes = (x.length / type.blockSize) * type.typeSize;
  kernels.reset();
  const [from, to, w] = [x.byteLength, bytes, WEIGHTS.byteLength].map((each) => kernels.reserve(each));
  kernels.floats(from!, x.length).set(x);
  if (weights) kernels.floats(w!, length).set(weights);
  kernels.bytes(to!, bytes).fill(0xaa);
  for (let row = 0; row < x.length / length; row++) {
    const y = to! + (row * bytes * length) / x.length;
    kernels.fromF32(type.name as never, from! + row * length * 4, y, length, weights && w);
  }
  return kernels.bytes(to!, bytes).slice();
}

// Stress rows too: zeros, equal weights, spikes, subnormals, scales beyond f16.
describe.each(TYPES)("%s is ggml's", (kernel) => {
  const kernels = new Kernels();

  test.each(goldenCases(kernel))("$file", (golden) => {
    const expected = goldenFile(golden.file);
    const actual = quantize(
      kernels,
      kernel,
      goldenFloats(golden.input),
      golden.imatrix ? WEIGHTS : undefined,
    );
    expect(differingRows(actual, expected, golden.row_bytes)).toEqual([]);
    expect(sha256(dequantize(typeOf(kernel), expected))).toBe(golden.dequant_sha256_nan7fc00000);
  });
});

test.each(["iq1_s", "iq2_xxs", "iq2_xs"])("%s without importances takes them for equal", (kernel) => {
  const x = goldenFloats("normal.f32");
  const kernels = new Kernels();
  const ones = new Float32Array(WEIGHTS.length).fill(1);
  expect(quantize(kernels, kernel, x)).toEqual(quantize(kernels, kernel, x, ones));
});

test("tables stay whole and what is reserved stays outside them, in whatever order types come", () => {
  const x = goldenFloats("normal.f32").subarray(0, 4096);
  const kernels = new Kernels();
  const alone = TYPES.map((kernel) => quantize(new Kernels(), kernel, x, WEIGHTS));
  for (const round of [TYPES, [...TYPES].reverse()]) {
    for (const kernel of round) {
      kernels.reset();
      // More than lay free before the tables, so that it lies around or behind them.
      const large = kernels.reserve(4 << 20);
      kernels.bytes(large, 4 << 20).fill(0xff);
      expect(quantize(kernels, kernel, x, WEIGHTS)).toEqual(alone[TYPES.indexOf(kernel)]);
    }
  }
});
