import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { byteLength, type DTypeName, dtype } from "../../formats/dtype.js";
import { compileKernels, Kernels } from "../../src/kernels/kernels.js";
import { type Products, pairVectors, untriedFused, untriedProducts } from "../../src/kernels/products.js";
import {
  INT8_TYPES,
  int8Form,
  multiplyInt8,
  packWeights,
  quantizeActivations,
} from "../../src/net/products/int8.js";
import { chooseProducts } from "../../src/net/products/products.js";
import { Random } from "../support/random.js";

// The int8 products of every module against the same sums in JavaScript: not nearly, but bit for bit.

pairVectors();
const random = new Random(8);
const compiled = compileKernels();

/** undefined stands for the kernels' own. */
const modules: (Products | undefined)[] = [
  undefined,
  ...untriedProducts("evaluation").map((untried) => ({ ...untried, wide: false })),
];
const best = chooseProducts("evaluation");
if (best?.dot === "i32" && best.wide) modules.push(best);

const nameOf = (products: Products | undefined) =>
  products === undefined
    ? "kernels"
    : `${products.dot}, ${products.bits} bits${products.wide ? ", all quants" : ""}`;

interface Operands {
  readonly type: DTypeName;
  readonly weights: Uint8Array;
  readonly x: Float32Array;
  readonly tokens: number;
  readonly rows: number;
  readonly k: number;
}

/** [tokens][rows], by the kernels. */
function product({ type, weights, x, tokens, rows, k }: Operands, products?: Products): Float32Array {
  const kernels = new Kernels(compiled, products);
  const form = int8Form(type, products)!;
  const floats = kernels.reserve(x.byteLength);
  kernels.floats(floats, x.length).set(x);
  const stored = kernels.reserve(weights.length);
  kernels.bytes(stored, weights.length).set(weights);
  const y = kernels.reserve(tokens * rows * 4);
  kernels.floats(y, tokens * rows).fill(Number.NaN);
  const activations = quantizeActivations(kernels, form, floats, tokens, k);
  const packed = packWeights(kernels, type, form, stored, rows, k);
  multiplyInt8(kernels, activations, packed, y, tokens, rows * 4);
  return kernels.floats(y, tokens * rows).slice();
}

const kernels = new Kernels(compiled);

/** `values` after a round trip through a type, or blocks as floats. */
function toF32(type: DTypeName, blocks: Uint8Array): Float32Array {
  kernels.reset();
  const n = (blocks.length / dtype(type).typeSize) * dtype(type).blockSize;
  const [src, dst] = [kernels.reserve(blocks.length), kernels.reserve(n * 4)];
  kernels.bytes(src, blocks.length).set(blocks);
  kernels.toF32(type, src, dst, n);
  return kernels.floats(dst, n).slice();
}

function roundF16(value: number): number {
  kernels.reset();
  const [f32, f16] = [kernels.reserve(4), kernels.reserve(2)];
  kernels.floats(f32, 1)[0] = value;
  kernels.fromF32("F16", f32, f16, 1);
  kernels.toF32("F16", f16, f32, 1);
  return kernels.floats(f32, 1)[0]!;
}

/** Where a block of each type has d and, if it has one, dmin or m. */
const SCALES_AT: Partial<Record<DTypeName, readonly number[]>> = {
  Q4_1: [0, 2],
  Q5_1: [0, 2],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  TQ1_0: [52],
  TQ2_0: [64],
};

/** The blocks with other scales. Those of MXFP4 are exponents: of 2, plus 128. */
function withScales(type: DTypeName, weights: Uint8Array, scales: (block: number) => readonly number[]) {
  const { typeSize } = dtype(type);
  const changed = weights.slice();
  const view = new DataView(changed.buffer);
  for (let block = 0; block * typeSize < weights.length; block++) {
    const values = scales(block);
    if (type === "MXFP4") changed[block * typeSize] = 128 + Math.log2(values[0]! || 2 ** -128);
    else {
      for (const [i, at] of (SCALES_AT[type] ?? [0]).entries()) {
        view.setUint16(block * typeSize + at, f16Bits(values[i]!), true);
      }
    }
  }
  return changed;
}

function f16Bits(value: number): number {
  kernels.reset();
  const [f32, f16] = [kernels.reserve(4), kernels.reserve(2)];
  kernels.floats(f32, 1)[0] = value;
  kernels.fromF32("F16", f32, f16, 1);
  return new DataView(kernels.memory.buffer).getUint16(f16, true);
}

interface Quantized {
  readonly q: number[];
  /** Of each block. */
  readonly d: number[];
  /** Of each block, d * sum(q) as Q8_1 has it. */
  readonly s: number[];
}

/** One token's activations as ggml's quantize_row_q8_0, _q8_1 and _q8_K make them on x86. */
function quantizeRow(x: Float32Array, blockSize: number): Quantized {
  const result: Quantized = { q: [], d: [], s: [] };
  for (let at = 0; at < x.length; at += blockSize) {
    const block = x.subarray(at, at + blockSize);
    const amax = Math.max(...block.map(Math.abs));
    const id = amax === 0 ? 0 : Math.fround(127 / amax);
    const q = Array.from(block, (value) => roundToEven(Math.fround(value * id)));
    const sum = q.reduce((a, b) => a + b, 0);
    const d = Math.fround(amax / 127);
    result.q.push(...q);
    result.d.push(blockSize === 32 ? roundF16(d) : amax === 0 ? 0 : Math.fround(1 / id));
    result.s.push(roundF16(Math.fround(d * sum)));
  }
  return result;
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * The same product. What a block's quants stand for is what it dequantizes to when its d is 1 and its minimum 0;
 * what its minima are, when d is 0 and the minimum 1. Those kernels are tested against ggml.
 */
function expected({ type, weights, x, tokens, rows, k }: Operands, scales: readonly (readonly number[])[]) {
  const { blockSize } = dtype(type);
  const blocks = k / blockSize;
  const hasMinima = INT8_TYPES.find(({ name }) => name === type)!.minLength > 0;
  const quants = toF32(
    type,
    withScales(type, weights, () => [1, 0]),
  );
  const minima = hasMinima
    ? toF32(
        type,
        withScales(type, weights, () => [0, 1]),
      )
    : undefined;
  const inputs = Array.from({ length: tokens }, (_, t) =>
    quantizeRow(x.subarray(t * k, (t + 1) * k), blockSize),
  );
  const dot = (values: Float32Array, at: number, q: readonly number[], from: number) => {
    let sum = 0;
    for (let i = 0; i < blockSize; i++) sum += values[at + i]! * q[from + i]!;
    return Math.fround(sum);
  };
  return Float32Array.from({ length: tokens * rows }, (_, at) => {
    const [input, row] = [inputs[Math.floor(at / rows)]!, at % rows];
    let y = 0;
    const addScaled = (values: Float32Array, which: number) => {
      for (let b = 0; b < blocks; b++) {
        const scale = Math.fround(scales[row * blocks + b]![which]! * input.d[b]!);
        const sum = dot(values, (row * blocks + b) * blockSize, input.q, b * blockSize);
        y = Math.fround(y + Math.fround(sum * scale));
      }
    };
    addScaled(quants, 0);
    if (minima === undefined) return y;
    if (blockSize === 256) {
      addScaled(minima, 1);
      return y;
    }
    let sum = 0;
    for (let b = 0; b < blocks; b++) {
      sum = Math.fround(sum + Math.fround(input.s[b]! * scales[row * blocks + b]![1]!));
    }
    return Math.fround(y + sum);
  });
}

/** Bytes that no quantizer made, with scales that are in range. */
function operands(
  type: DTypeName,
  tokens: number,
  rows: number,
  k: number,
  kind: Kind,
): [Operands, number[][]] {
  const { weightByte, activation } = KINDS[kind];
  const count = (rows * k) / dtype(type).blockSize;
  const scales = Array.from({ length: count }, () =>
    type === "MXFP4"
      ? [2 ** (random.below(20) - 10)]
      : [roundF16((random.below(2000) - 1000) / 8192), roundF16((random.below(2000) - 1000) / 8192)],
  );
  const bytes = Uint8Array.from({ length: byteLength(type, [rows, k]) }, weightByte);
  const weights = withScales(type, bytes, (block) => scales[block]!);
  const x = Float32Array.from({ length: tokens * k }, (_, i) => activation(i));
  return [{ type, weights, x, tokens, rows, k }, scales];
}

const noise = () => random.float() * 2 ** (random.below(8) - 4);

/** What drives sums to their ends: all quants at one end, activations at one end or in turns at both. */
const KINDS = {
  "any bytes": { weightByte: () => random.below(256), activation: noise },
  "lowest quants": { weightByte: () => 0, activation: () => 1 },
  "highest quants": { weightByte: () => 255, activation: () => -1 },
  "highest quants, signs in turns": { weightByte: () => 255, activation: (i: number) => (i % 2 ? 1 : -1) },
  "-128 as a quant": { weightByte: () => 128, activation: (i: number) => (i % 3 ? 1 : -1) },
  "activations of 0": { weightByte: () => random.below(256), activation: () => 0 },
} as const;
type Kind = keyof typeof KINDS;

test("the data of modules that share a memory do not overlap", () => {
  const address = (module: WebAssembly.Module, name: string) => {
    const memory = new WebAssembly.Memory({ initial: 32, maximum: 65536 });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    return (exports[name] as WebAssembly.Global).value as number;
  };
  const { targets } = JSON.parse(readFileSync(new URL("../../asconfig.json", import.meta.url), "utf8"));
  const modules = [
    ...untriedProducts("evaluation").map(({ module, dot }) => ({ module, target: `products-${dot}` })),
    ...untriedProducts("generation").map(({ module, dot }) => ({ module, target: `generation-${dot}` })),
  ];
  const ofFused = [targets["fused"].memoryBase, address(untriedFused()!.module, "DATA_END")];
  for (const { module, target } of modules) {
    const own = [targets[target].memoryBase, address(module, "DATA_END")];
    const bounds = [address(compiled, "DATA_END"), ...ofFused, ...own, address(compiled, "HEAP_BASE")];
    expect(bounds).toEqual(bounds.toSorted((a, b) => a - b));
  }
});

const untriedI32 = untriedProducts("evaluation").filter(({ dot }) => dot === "i32");

describe.each(untriedI32)("i32, $bits bits, layout for quants above 127", (untried) => {
  // Quants that stay below, so that it can be tried on every machine: as stored they are negative.
  test.each([
    ["Q8_0", (byte: number) => byte | 0x80],
    ["IQ4_NL", (byte: number) => byte & 0x77],
    ["IQ4_XS", (byte: number) => byte & 0x77],
  ] as const)("%s", (type, below) => {
    const [{ weights, ...given }, scales] = operands(type, 5, 9, 512, "any bytes");
    const low = withScales(type, weights.map(below), (block) => scales[block]!);
    const products: Products = { ...untried, wide: true };
    expect(product({ ...given, weights: low }, products)).toEqual(
      expected({ ...given, weights: low }, scales),
    );
  });
});

describe.each(modules.map((products) => ({ name: nameOf(products), products })))("$name", ({ products }) => {
  describe.each(INT8_TYPES.map(({ name }) => name))("%s", (type) => {
    test.each(Object.keys(KINDS) as Kind[])("%s", (kind) => {
      const [given, scales] = operands(type, 5, 9, 512, kind);
      expect(product(given, products)).toEqual(expected(given, scales));
    });

    test.each([
      [1, 1],
      [4, 8],
      [3, 16],
      [8, 7],
      [150, 3],
    ])("%i tokens, %i rows", (tokens, rows) => {
      const [given, scales] = operands(type, tokens, rows, 256, "any bytes");
      expect(product(given, products)).toEqual(expected(given, scales));
    });
  });
});
