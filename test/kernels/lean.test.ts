import { describe, expect, test } from "vitest";
import { byteLength, type DTypeName, dtype } from "../../formats/dtype.js";
import { compileKernels, Kernels } from "../../src/kernels/kernels.js";
import { type Products, pairVectors, untriedProducts } from "../../src/kernels/products.js";
import {
  INT8_TYPES,
  int8Form,
  multiplyInt8,
  packWeights,
  quantizeActivations,
} from "../../src/net/products/int8.js";
import { expandLean, leanSize, multiplyLean, packLean } from "../../src/net/products/lean.js";
import { chooseProducts } from "../../src/net/products/products.js";
import { Random } from "../support/random.js";

// Products with lean weights against those with the same weights in the layout for many tokens, which gemm.test.ts holds
// to ggml's arithmetic: bit for bit, in every module.

pairVectors();
const random = new Random(21);
const compiled = compileKernels();
const best = chooseProducts("generation");

/** undefined stands for the kernels' own. */
const modules: (Products | undefined)[] = [
  undefined,
  ...untriedProducts("generation").map((untried) => ({ ...untried, wide: false })),
  ...untriedProducts("generation")
    .filter(({ dot }) => dot === "i32" && best?.wide)
    .map((untried) => ({ ...untried, wide: true })),
];

const nameOf = (products: Products | undefined) =>
  products === undefined
    ? "kernels"
    : `${products.dot}, ${products.bits} bits${products.wide ? ", all quants" : ""}`;

function place(kernels: Kernels, bytes: Uint8Array): number {
  const address = kernels.reserve(bytes.length);
  kernels.bytes(address, bytes.length).set(bytes);
  return address;
}

/** Where a block has its f16 scales. */
const HALVES: Partial<Record<DTypeName, readonly number[]>> = {
  Q4_1: [0, 2],
  Q5_1: [0, 2],
  MXFP4: [],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  TQ1_0: [52],
  TQ2_0: [64],
};

const any = () => random.below(256);

/** Bytes of quants, and what scales are made of: f16 bits. */
const KINDS: Record<string, { byte: (i: number) => number; half: () => number; x: (i: number) => number }> = {
  "any bytes": {
    byte: any,
    half: () => random.below(0x5000) | (random.below(2) << 15),
    x: () => random.float(),
  },
  "lowest quants": { byte: () => 0, half: () => 0x3c00, x: () => 1 },
  "highest quants": { byte: () => 255, half: () => 0xbc01, x: () => -1 },
  "signs in turns": { byte: () => 255, half: () => 0x7bff, x: (i) => (i % 2 ? 1 : -1) },
  "-128 as a quant": { byte: () => 128, half: () => 0x1234, x: (i) => (i % 3 ? 1 : -1) },
  "subnormal scales and zeros": { byte: any, half: () => random.below(0x400), x: (i) => (i & 32 ? 0 : i) },
};

function weightsOf(type: DTypeName, rows: number, k: number, kind: keyof typeof KINDS): Uint8Array {
  const { byte, half } = KINDS[kind]!;
  const bytes = Uint8Array.from({ length: byteLength(type, [rows, k]) }, (_, i) => byte(i));
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < bytes.length; block += dtype(type).typeSize) {
    for (const at of HALVES[type] ?? [0]) view.setUint16(block + at, half(), true);
    if (type === "MXFP4") bytes[block] = random.below(250);
  }
  return bytes;
}

describe.each(modules.map((products) => ({ name: nameOf(products), products })))("$name", ({ products }) => {
  describe.each(INT8_TYPES.map(({ name }) => name))("%s", (type) => {
    /** Both ways, for each number of tokens. */
    function compare(rows: number, k: number, kind: keyof typeof KINDS, counts: readonly number[]): void {
      const kernels = new Kernels(compiled, products);
      const stored = place(kernels, weightsOf(type, rows, k, kind));
      const form = int8Form(type, products)!;
      const most = Math.max(...counts);
      const xs = Float32Array.from({ length: most * k }, (_, i) => KINDS[kind]!.x(i));
      const floats = place(kernels, new Uint8Array(xs.buffer));
      const lean = kernels.reserve(leanSize(kernels, type, rows, k));
      packLean(kernels, type, stored, rows, k, lean);
      const packed = packWeights(kernels, type, form, stored, rows, k);
      const size = kernels.mark() - packed;
      const expanded = kernels.reserve(size);
      kernels.bytes(expanded, size).fill(0xaa);
      expandLean(kernels, type, form, lean, rows, k, expanded);
      const header = 20;
      const isSame = (a: number, b: number, n: number) =>
        Buffer.compare(kernels.bytes(a, n), kernels.bytes(b, n)) === 0;
      expect(isSame(packed, expanded, header), "header").toBe(true);
      expect(isSame(packed + 64, expanded + 64, size - 64), "expanded").toBe(true);
      const stride = rows * 4 + 12;
      for (const tokens of counts) {
        const mark = kernels.mark();
        const x = quantizeActivations(kernels, form, floats, tokens, k);
        const ys = [kernels.reserve(tokens * stride), kernels.reserve(tokens * stride)] as const;
        for (const y of ys) kernels.bytes(y, tokens * stride).fill(0xee);
        multiplyInt8(kernels, x, packed, ys[0], tokens, stride);
        multiplyLean(kernels, type, x, lean, ys[1], tokens, rows, k, stride);
        expect(isSame(ys[0], ys[1], tokens * stride), `${tokens} tokens`).toBe(true);
        kernels.reset(mark);
      }
    }

    test.each(Object.keys(KINDS))("%s", (kind) => compare(16, 512, kind, [1, 2]));

    test.each([
      [8, 768],
      [28, 768],
      [100, 768],
      [84, 2304], // more than one part of a unit, and an incomplete one
    ])("%i rows of %i", (rows, k) => compare(rows, k, "any bytes", [1, 2, 3, 4, 5, 8, 13]));
  });

  describe.each(["F32", "F16", "BF16"] as const)("%s", (type) => {
    test.each([
      [8, 512],
      [28, 260],
      [100, 1000],
    ])("%i rows of %i", (rows, k) => {
      const kernels = new Kernels(compiled, products);
      const values = Float32Array.from({ length: rows * k }, () => random.float() * 2 ** -random.below(30));
      const floats = place(kernels, new Uint8Array(values.buffer));
      const stored = kernels.reserve(byteLength(type, [rows, k]));
      kernels.fromF32(type, floats, stored, rows * k);
      kernels.toF32(type, stored, floats, rows * k);
      const lean = kernels.reserve(leanSize(kernels, type, rows, k));
      packLean(kernels, type, stored, rows, k, lean);
      const padded = Math.ceil(rows / 8) * 8;
      const [packed, expanded] = [kernels.reserve(padded * k * 4), kernels.reserve(padded * k * 4)] as const;
      kernels.call("pack_panels8")(floats, k * 4, rows, k, packed);
      expandLean(kernels, type, "f32", lean, rows, k, expanded);
      expect(kernels.floats(expanded, padded * k)).toEqual(kernels.floats(packed, padded * k));
      const inputs = place(kernels, new Uint8Array(random.floats(16 * k).buffer));
      for (const tokens of [1, 2, 3, 4, 5, 8, 13]) {
        const mark = kernels.mark();
        const x = kernels.reserve(16 * k * 4);
        kernels.call("pack_blocks4")(inputs, k * 4, tokens, k, x);
        const [y, own] = [kernels.reserve(16 * padded * 4), kernels.reserve(16 * padded * 4)] as const;
        kernels.call("matmul_f32")(x, packed, y, tokens, rows, k);
        kernels.floats(own, 16 * padded).fill(0);
        multiplyLean(kernels, type, x, lean, own, tokens, rows, k, padded * 4);
        const count = tokens * padded;
        expect(kernels.floats(own, count), `${tokens} tokens`).toEqual(kernels.floats(y, count));
        kernels.reset(mark);
      }
    });
  });
});
