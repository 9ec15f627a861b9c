import { describe, expect, test } from "vitest";
import { type DTypeName, dtype } from "../../formats/dtype.js";
import { compileKernels, Kernels } from "../../src/kernels/kernels.js";
import { pairVectors } from "../../src/kernels/products.js";
import { int8Form, quantizeActivations } from "../../src/net/products/int8.js";
import { LEAN_ROWS, leanSize, multiplyLean, packLean } from "../../src/net/products/lean.js";
import { chooseProducts } from "../../src/net/products/products.js";
import { Random } from "../support/random.js";

// Products with lean weights against the definitions of the formats, worked out here from the stored bytes: sums of
// integers, then for each block in order one product of scales and one sum, rounded to f32.

pairVectors();
const random = new Random(5);

/** A block's integers, in whichever way a type has them: scale × quant and min of every weight; d and -dmin. */
interface Block {
  readonly q: number[];
  readonly d: number;
  readonly mins?: number[];
  readonly dmin?: number;
}

function f16(view: DataView, at: number): number {
  const bits = view.getUint16(at, true);
  const [exponent, mantissa] = [(bits >> 10) & 31, bits & 1023];
  const magnitude = exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Scales and mins of six bits, as Q4_K keeps them. */
function scaleAndMin(view: DataView, at: number, j: number): [number, number] {
  const byte = (i: number) => view.getUint8(at + i);
  if (j < 4) return [byte(j) & 63, byte(j + 4) & 63];
  return [(byte(j + 4) & 15) | ((byte(j - 4) >> 6) << 4), (byte(j + 4) >> 4) | ((byte(j) >> 6) << 4)];
}

const READERS: Partial<Record<DTypeName, (view: DataView, at: number) => Block>> = {
  Q4_0: (view, at) => ({
    d: f16(view, at),
    q: range(32).map((i) => ((view.getUint8(at + 2 + (i % 16)) >> (i < 16 ? 0 : 4)) & 15) - 8),
  }),
  Q8_0: (view, at) => ({ d: f16(view, at), q: range(32).map((i) => view.getInt8(at + 2 + i)) }),
  Q4_K: (view, at) => {
    const pairs = range(8).map((j) => scaleAndMin(view, at + 4, j));
    return {
      d: f16(view, at),
      dmin: -f16(view, at + 2),
      q: range(256).map((i) => {
        const byte = view.getUint8(at + 16 + (i >> 6) * 32 + (i % 32));
        return pairs[i >> 5]![0] * ((byte >> (i & 32 ? 4 : 0)) & 15);
      }),
      mins: range(256).map((i) => pairs[i >> 5]![1]),
    };
  },
  Q6_K: (view, at) => ({
    d: f16(view, at + 208),
    q: range(256).map((i) => {
      const [half, r] = [i >> 7, i % 128];
      const low = view.getUint8(at + half * 64 + (r % 64)) >> (r < 64 ? 0 : 4);
      const high = view.getUint8(at + 128 + half * 32 + (r % 32)) >> ((r >> 5) * 2);
      return view.getInt8(at + 192 + (i >> 4)) * (((low & 15) | ((high & 3) << 4)) - 32);
    }),
  }),
};

/** As x86 CPUs quantize activations in ggml: by 127 over the greatest magnitude, d in f16 for blocks of 32. */
function quantize(x: Float32Array, length: number): { q: number[]; d: number[] } {
  const [q, d]: [number[], number[]] = [[], []];
  for (let at = 0; at < x.length; at += length) {
    const block = x.subarray(at, at + length);
    const greatest = Math.max(...block.map(Math.abs));
    const inverse = Math.fround(127 / greatest);
    for (const value of block) {
      const scaled = Math.fround(value * inverse);
      const below = Math.floor(scaled);
      const isUp = scaled - below > 0.5 || (scaled - below === 0.5 && below % 2 !== 0);
      q.push(isUp ? below + 1 : below);
    }
    d.push(length === 32 ? toF16(Math.fround(greatest / 127)) : Math.fround(1 / inverse));
  }
  return { q, d };
}

/** The half nearest to a positive number in its normal range. */
function toF16(value: number): number {
  const step = 2 ** (Math.floor(Math.log2(value)) - 10);
  const below = Math.floor(value / step);
  const rest = value / step - below;
  return (rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below) * step;
}

describe.each(Object.keys(READERS) as DTypeName[])("%s", (type) => {
  test.each([1, 3, 6, 20])("%i tokens", (tokens) => {
    const [rows, k] = [77, 1280];
    const { blockSize, typeSize } = dtype(type);
    const blocks = k / blockSize;
    const stored = Uint8Array.from({ length: rows * blocks * typeSize }, () => random.below(256));
    const view = new DataView(stored.buffer);
    for (let at = 0; at < stored.length; at += typeSize) {
      const half = () => random.below(0x1000) | (random.below(2) << 15) | 0x2000;
      for (const field of type === "Q6_K" ? [208] : type === "Q4_K" ? [0, 2] : [0])
        view.setUint16(at + field, half(), true);
    }
    const xs = random.floats(tokens * k);

    const kernels = new Kernels(compileKernels(), chooseProducts("generation"));
    const src = kernels.reserve(stored.length);
    kernels.bytes(src, stored.length).set(stored);
    const floats = kernels.reserve(xs.byteLength);
    kernels.floats(floats, xs.length).set(xs);
    const w = kernels.reserve(leanSize(kernels, type, rows, k));
    packLean(kernels, type, src, rows, k, w);
    const x = quantizeActivations(kernels, int8Form(type, kernels.products)!, floats, tokens, k);
    const y = kernels.reserve(tokens * rows * 4);
    // In two ranges of rows, as slabs are.
    const second = leanSize(kernels, type, LEAN_ROWS, k);
    multiplyLean(kernels, type, x, w, y, tokens, LEAN_ROWS, k, rows * 4);
    const rest = rows - LEAN_ROWS;
    multiplyLean(kernels, type, x, w + second, y + LEAN_ROWS * 4, tokens, rest, k, rows * 4);

    const inputs = range(tokens).map((t) => quantize(xs.subarray(t * k, (t + 1) * k), blockSize));
    const weights = range(rows * blocks).map((b) => READERS[type]!(view, b * typeSize));
    const expected = range(tokens * rows).map((at) => {
      const { q, d } = inputs[Math.floor(at / rows)]!;
      const mine = weights.slice((at % rows) * blocks, ((at % rows) + 1) * blocks);
      let sum = 0;
      const add = (b: number, values: number[], scale: number) => {
        const dot = values.reduce((total, value, i) => total + value * q[b * blockSize + i]!, 0);
        sum = Math.fround(sum + Math.fround(Math.fround(dot) * Math.fround(scale * d[b]!)));
      };
      for (const [b, block] of mine.entries()) add(b, block.q, block.d);
      for (const [b, { mins, dmin }] of mine.entries()) if (mins) add(b, mins, dmin!);
      return sum;
    });
    expect(kernels.floats(y, tokens * rows)).toEqual(Float32Array.from(expected));
  });
});
