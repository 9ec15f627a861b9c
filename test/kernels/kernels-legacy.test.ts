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
import { Random } from "../support/random.js";

const BLOCKS_OF_32 = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "mxfp4"];
const TYPES = ["f16", "bf16", ...BLOCKS_OF_32, "iq4_xs", "tq1_0", "tq2_0"];

const weights = goldenFloats("imatrix.f32");

// Byte for byte, also in the rows where ggml casts infinities to integers: the kernels do as x86 does.
describe.each(TYPES)("%s is ggml's", (kernel) => {
  const type = typeOf(kernel);

  test.each(goldenCases(kernel))("$file", (golden) => {
    const expected = goldenFile(golden.file);
    const actual = quantize(type, goldenFloats(golden.input), golden.imatrix ? weights : undefined);
    expect(differingRows(actual, expected, golden.row_bytes)).toEqual([]);
    expect(sha256(dequantize(type, expected))).toBe(golden.dequant_sha256_nan7fc00000);
  });
});

test.each(["q4_0", "q4_1", "q5_0", "q5_1"])(
  "%s with an importance matrix takes rows of 3 blocks",
  (kernel) => {
    const type = typeOf(kernel);
    const actual = quantize(type, goldenFloats("normal.f32").subarray(0, 64 * 96), weights.subarray(0, 96));
    const expected = goldenFile(`${kernel}.rows-of-96.imatrix.bin`);
    expect(differingRows(actual, expected, 3 * type.typeSize)).toEqual([]);
  },
);

test.each(["f16", "bf16"])("%s takes a row of any length", (kernel) => {
  const expected = goldenFile(`${kernel}.normal.bin`).subarray(0, 37 * 2);
  const actual = quantize(typeOf(kernel), goldenFloats("normal.f32").subarray(0, 37));
  expect(Buffer.compare(actual, expected)).toBe(0);
});

test("bf16 rounds ties to even in the last of a row as in the others", () => {
  // 1 + 1/256 lies between 1 and 1 + 1/128, 1 + 3/256 between 1 + 1/128 and 1 + 2/128: of 0x3f80, 0x3f81 and 0x3f82 the even ones.
  const [down, up] = [1 + 1 / 256, 1 + 3 / 256];
  for (const length of [8, 9, 15, 16]) {
    const row = Float32Array.from({ length }, (_, i) => (i % 2 === 0 ? down : -up));
    const bytes = quantize(typeOf("bf16"), row);
    expect([...new Uint16Array(bytes.buffer)]).toEqual([...row].map((each) => (each > 0 ? 0x3f80 : 0xbf82)));
  }
});

test("f64 becomes the nearest f32", () => {
  const random = new Random(7);
  const x = Float64Array.from({ length: 20_003 }, (_, i) => {
    // Every exponent that f32 has, and ties: bits below f32's last that are exactly a half.
    const tie = i % 3 === 0 ? 2 ** -24 : random.u32() * 2 ** -55;
    return (
      (random.below(2) * 2 - 1) *
      (1 + random.below(1 << 23) / (1 << 23) + tie) *
      2 ** (random.below(300) - 160)
    );
  });
  const bytes = new Uint8Array(x.buffer);
  expect(dequantize(typeOf("f64"), bytes)).toEqual(Float32Array.from(x, Math.fround));
});

// ggml run on these blocks stores as m the zero that comes first.
test.each(["q4_1", "q5_1"])("%s tells zeros apart by their sign", (kernel) => {
  const min = (...first: number[]) => {
    const block = quantize(
      typeOf(kernel),
      new Float32Array(32).fill(1).with(0, first[0]!).with(1, first[1]!),
    );
    return new DataView(block.buffer).getUint16(2, true);
  };
  expect(min(0, -0)).toBe(0x0000);
  expect(min(-0, 0)).toBe(0x8000);
});

describe.each(BLOCKS_OF_32)("%s knows no more than the block", (kernel) => {
  test("rows of one block have the bytes of the whole row", () => {
    const type = typeOf(kernel);
    const x = goldenFloats("normal.f32").subarray(0, 1024);
    const whole = quantize(type, x);
    for (let i = 0; i < 32; i++) {
      const block = quantize(type, x.subarray(i * 32, i * 32 + 32));
      expect(Buffer.compare(block, whole.subarray(i * type.typeSize, (i + 1) * type.typeSize))).toBe(0);
    }
  });
});
