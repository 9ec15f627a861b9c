import { byteLength, type DTypeName } from "../../../formats/dtype.js";
import type { Kernels } from "../../kernels/kernels.js";
import type { Purpose } from "../../kernels/products.js";
import { KV_TYPES, type KvType } from "../../quant/fit/memory.js";
import { KvCache } from "../mixers/state/kv-cache.js";
import { type Form, INT8_TYPES, int8Form, multiplyInt8, packWeights, quantizeActivations } from "./int8.js";
import { leanSize, multiplyLean, packLean } from "./lean.js";
import { noise, place } from "./operands.js";

// What a module of products is tried with: every path through it, small.

export interface Trial {
  readonly name: string;
  readonly run: () => void;
  /** What the last run wrote. Valid until the kernels' memory grows. */
  readonly result: () => Uint8Array;
}

/** One type for each layout of weights, one with mins in blocks of 32, and one whose sums are given back what they begin with. */
const TYPES = ["Q4_K", "Q6_K", "Q4_0", "Q4_1", "Q5_1"] as const satisfies readonly DTypeName[];
/** With quants above 127. A module that gets them wrong is still good for the others. */
export const WIDE_TRIAL = "Q8_0";

/** Lays out operands of every trial. */
export function prepareTrials(kernels: Kernels, purpose: Purpose): Trial[] {
  const products = [
    ...[...TYPES, WIDE_TRIAL as DTypeName].map((type) => int8Product(kernels, type)),
    floatProduct(kernels),
    attention(kernels, { window: 0, cap: 0, slopes: undefined }),
    attention(kernels, { window: 9, cap: 30, slopes: [0.5, 0.03] }),
  ];
  return [...products, ...(purpose === "evaluation" ? [panels(kernels)] : prepareFew(kernels))];
}

/** What only modules for generation have. */
function prepareFew(kernels: Kernels): Trial[] {
  return [
    ...INT8_TYPES.flatMap(({ name, wide }) => {
      const form = int8Form(name, kernels.products)!;
      if (!wide) return [leanProduct(kernels, `lean ${name}`, name, form)];
      // Without quants above 127 these types take another way, which must be right all the same.
      const narrow = int8Form(name, kernels.products && { ...kernels.products, wide: false })!;
      return [
        leanProduct(kernels, WIDE_TRIAL, name, form),
        leanProduct(kernels, `lean ${name}`, name, narrow),
      ];
    }),
    ...(["F32", "F16", "BF16"] as const).map((type) => leanFloats(kernels, type)),
    ...KV_TYPES.map((type) => cachedAttention(kernels, type)),
    sharedAttention(kernels),
  ];
}

/** Whole panels and a part of one; more than one block, and more than the f32 product takes at once. */
const SIZE = { tokens: 30, rows: 28, k: 512 };

function int8Product(kernels: Kernels, type: DTypeName): Trial {
  const { tokens, rows, k } = SIZE;
  const form = int8Form(type, kernels.products)!;
  const floats = place(kernels, extremes());
  const weights = kernels.reserve(byteLength(type, [rows, k]));
  kernels.fromF32(type, floats, weights, rows * k);
  const x = quantizeActivations(kernels, form, floats, tokens, k);
  const w = packWeights(kernels, type, form, weights, rows, k);
  const y = kernels.reserve(tokens * rows * 4);
  return {
    name: type,
    run: () => multiplyInt8(kernels, x, w, y, tokens, rows * 4),
    result: () => kernels.bytes(y, tokens * rows * 4),
  };
}

/** Numbers of tokens that are multiplied in different ways; a whole panel of rows and a part of one. */
const LEAN = { tokens: [1, 4, 13], rows: 12, k: SIZE.k };

function leanProduct(kernels: Kernels, label: string, type: DTypeName, form: Form): Trial {
  const w = leanWeights(kernels, type);
  const floats = place(kernels, extremes());
  const inputs = LEAN.tokens.map((tokens) => quantizeActivations(kernels, form, floats, tokens, LEAN.k));
  return { name: label, ...leanRuns(kernels, type, w, inputs, form) };
}

function leanFloats(kernels: Kernels, type: DTypeName): Trial {
  const w = leanWeights(kernels, type);
  const floats = place(kernels, extremes());
  const inputs = LEAN.tokens.map((tokens) => {
    const x = kernels.reserve(16 * LEAN.k * 4);
    kernels.call("pack_blocks4")(floats, LEAN.k * 4, tokens, LEAN.k, x);
    return x;
  });
  return { name: `lean ${type}`, ...leanRuns(kernels, type, w, inputs) };
}

/** As they are stored, by type: quantizing takes longer than all trials. */
const stored = new Map<DTypeName, Uint8Array>();

function leanWeights(kernels: Kernels, type: DTypeName): number {
  const { rows, k } = LEAN;
  const lean = kernels.reserve(leanSize(kernels, type, rows, k));
  const mark = kernels.mark();
  const size = byteLength(type, [rows, k]);
  const address = kernels.reserve(size);
  const known = stored.get(type);
  if (known === undefined) {
    kernels.fromF32(type, place(kernels, extremes()), address, rows * k);
    stored.set(type, kernels.bytes(address, size).slice());
  } else kernels.bytes(address, size).set(known);
  packLean(kernels, type, address, rows, k, lean);
  kernels.reset(mark);
  return lean;
}

/** Multiplies `inputs`, one for each number of tokens. */
function leanRuns(
  kernels: Kernels,
  type: DTypeName,
  w: number,
  inputs: readonly number[],
  form?: Form,
): Pick<Trial, "run" | "result"> {
  const { rows, k } = LEAN;
  const size = 18 * rows * 4;
  const start = kernels.reserve(size);
  return {
    run: () => {
      let y = start;
      for (const [i, tokens] of LEAN.tokens.entries()) {
        multiplyLean(kernels, type, inputs[i]!, w, y, tokens, rows, k, rows * 4, form);
        y += tokens * rows * 4;
      }
    },
    result: () => kernels.bytes(start, size),
  };
}

function floatProduct(kernels: Kernels): Trial {
  const { tokens, rows, k } = SIZE;
  const floats = place(kernels, noise(tokens * k));
  const [x, w, y] = [
    kernels.reserve(32 * k * 4),
    kernels.reserve(32 * k * 4),
    kernels.reserve(32 * 32 * 4),
  ] as const;
  kernels.call("pack_blocks4")(floats, k * 4, tokens, k, x);
  kernels.call("pack_panels8")(floats, k * 4, rows, k, w);
  return {
    name: "f32",
    run: () => kernels.call("matmul_f32")(x, w, y, tokens, rows, k),
    result: () => kernels.bytes(y, tokens * 32 * 4),
  };
}

/** What second moments are made with: wide tiles and one that is not, added to what is there. */
function panels(kernels: Kernels): Trial {
  const [rows, columns, k] = [8, 24, SIZE.k] as const;
  const floats = place(kernels, noise((rows + columns) * k));
  const [x, w, y] = [
    kernels.reserve(rows * k * 4),
    kernels.reserve(columns * k * 4),
    kernels.reserve(rows * columns * 4),
  ] as const;
  kernels.call("pack_panels4")(floats, k * 4, rows, k, x);
  kernels.call("pack_panels8")(floats + rows * k * 4, k * 4, columns, k, w);
  return {
    name: "panels",
    run: () => {
      kernels.bytes(y, rows * columns * 4).fill(0);
      kernels.call("add_panels")(x, k * 16, w, k * 32, y, columns * 4, rows, columns, k);
    },
    result: () => kernels.bytes(y, rows * columns * 4),
  };
}

interface Bend {
  readonly window: number;
  readonly cap: number;
  /** One a head. */
  readonly slopes: readonly [number, number] | undefined;
}

function attention(kernels: Kernels, { window, cap, slopes }: Bend): Trial {
  const [tokens, heads, headsKv, kLength, vLength] = [70, 2, 1, 16, 12];
  const q = place(kernels, noise(tokens * heads * kLength));
  const k = place(kernels, noise(tokens * headsKv * kLength));
  const v = place(kernels, noise(tokens * headsKv * vLength));
  const slopesAt = slopes === undefined ? 0 : place(kernels, Float32Array.from(slopes));
  const size = tokens * heads * vLength * 4;
  const o = kernels.reserve(size);
  const scratch = kernels.reserve(kernels.call("attention_scratch")(tokens, kLength, vLength));
  const lengths = [tokens, heads, headsKv, kLength, vLength] as const;
  return {
    name: window === 0 ? "attention" : "attention with bent scores",
    run: () =>
      kernels.call("attention")(
        q,
        k,
        v,
        o,
        ...lengths,
        0.3,
        cap,
        slopesAt,
        0,
        window,
        0,
        0,
        scratch,
        0,
        heads,
      ),
    result: () => kernels.bytes(o, size),
  };
}

/** Rows in fours and alone, in whole panels and parts of one. */
function cachedAttention(kernels: Kernels, type: KvType): Trial {
  const [capacity, group, keyLength, valueLength] = [70, 7, 32, type === "f16" ? 44 : 64];
  const shape = { type, heads: 1, keyLength, valueLength, capacity, window: 0, batch: capacity };
  const cache = new KvCache(kernels, shape);
  const x = place(kernels, noise(capacity * valueLength));
  cache.append(x, valueLength * 4, x, valueLength * 4, capacity);
  const size = group * valueLength * 4;
  const o = kernels.reserve(size);
  const queries = { q: x, qStride: size, o, oStride: size };
  kernels.reserve(cache.attendBytes(1, group)); // what a run takes must not grow the memory
  return {
    name: `attention to a cache of ${type}`,
    run: () => cache.attend(queries, 1, { group, scale: 0.3 }),
    result: () => kernels.bytes(o, size),
  };
}

/** A block that two caches begin with, and what each has alone. */
function sharedAttention(kernels: Kernels): Trial {
  const [shared, capacity, group, length] = [256, 272, 3, 32];
  const shape = { type: "f16", heads: 1, keyLength: length, valueLength: length, capacity, window: 0, batch: capacity } as const;
  const first = new KvCache(kernels, shape);
  const x = place(kernels, noise(capacity * length));
  first.append(x, length * 4, x, length * 4, shared + 9);
  const caches = [first, first.fork()];
  const size = group * length * 4;
  const o = kernels.reserve(caches.length * size);
  const queries = { q: x, qStride: size, o, oStride: size };
  kernels.reserve(first.attendBytes(caches.length, group) + 64);
  return {
    name: "attention to caches that begin alike",
    run: () => KvCache.attendTogether(caches, shared, queries, { group, scale: 0.3 }),
    result: () => kernels.bytes(o, caches.length * size),
  };
} // biome-ignore format: one shape

let made: Float32Array | undefined;

/** Rows whose quants are all at one end of their range, or in turns at both, and rows of noise: SIZE.tokens of them. */
function extremes(): Float32Array {
  if (made !== undefined) return made;
  const { tokens, k } = SIZE;
  const any = noise(tokens * k);
  const patterns = [() => 1, () => -1, (at: number) => (at % 2 === 0 ? 1 : -1), (at: number) => any[at]!];
  made = any.map((_, at) => patterns[Math.floor(at / k) % patterns.length]!(at));
  return made;
}
