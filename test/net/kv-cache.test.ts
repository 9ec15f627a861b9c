import { describe, expect, test } from "vitest";
import { compileKernels, Kernels } from "../../src/kernels/kernels.js";
import { pairVectors, untriedProducts } from "../../src/kernels/products.js";
import { alibiSlopes } from "../../src/net/mixers/attention/alibi.js";
import { KvCache, type KvShape, kvBytes, kvCells } from "../../src/net/mixers/state/kv-cache.js";
import { KV_TYPES, type KvType } from "../../src/quant/fit/memory.js";
import { Random } from "../support/random.js";

// Attention to a cache, against the formula written out in f64, and to the bit against itself in other pieces and against
// the kernel that has all tokens at once.

pairVectors();
const compiled = compileKernels();
const modules = [undefined, ...untriedProducts("generation").map((untried) => ({ ...untried, wide: false }))];

interface Case extends Partial<KvShape> {
  readonly tokens: number;
  readonly group: number;
  readonly cap?: number;
  readonly alibi?: boolean;
  readonly sinks?: boolean;
  readonly chunked?: boolean;
  readonly prefix?: number;
}

/** A layer with its inputs. */
class Layer {
  readonly shape: KvShape;
  readonly tokens: number;
  readonly group: number;
  readonly scale: number;
  readonly cap: number;
  readonly prefix: number;
  readonly chunked: boolean;
  readonly slopes: Float32Array | undefined;
  readonly sinks: Float32Array | undefined;
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;

  constructor({ tokens, group, cap = 0, alibi, sinks, chunked = false, prefix = 0, ...shape }: Case) {
    const lengths = { type: "f32", heads: 2, keyLength: 16, valueLength: 16 } as const;
    this.shape = { ...lengths, capacity: tokens, window: 0, batch: 64, ...shape };
    const { heads, keyLength, valueLength } = this.shape;
    const random = new Random(7);
    [this.tokens, this.group, this.cap, this.prefix] = [tokens, group, cap, prefix];
    this.chunked = chunked;
    this.scale = 1 / Math.sqrt(keyLength);
    this.slopes = alibi ? Float32Array.from(alibiSlopes(heads * group, 8)) : undefined;
    this.sinks = sinks ? random.floats(heads * group).map((value) => value * 4) : undefined;
    this.q = random.floats(tokens * heads * group * keyLength).map((value) => value * 8);
    this.k = random.floats(tokens * heads * keyLength);
    this.v = random.floats(tokens * heads * valueLength);
  }

  /** Of a token: floats of queries, keys, values and outputs. */
  get widths(): { q: number; k: number; v: number; o: number } {
    const { heads, keyLength, valueLength } = this.shape;
    const all = heads * this.group;
    return { q: all * keyLength, k: heads * keyLength, v: heads * valueLength, o: all * valueLength };
  }
}

function place(kernels: Kernels, values: Float32Array): number {
  const address = kernels.reserve(values.byteLength);
  kernels.floats(address, values.length).set(values);
  return address;
}

/** A cache in memory where every number is none. */
function dirtyCache(kernels: Kernels, shape: KvShape): KvCache {
  const mark = kernels.mark();
  const byteLength = kvBytes(shape);
  kernels.bytes(kernels.reserve(byteLength), byteLength).fill(0xff);
  kernels.reset(mark);
  return new KvCache(kernels, shape);
}

/** A cache with its layer, and the outputs so far. */
class Run {
  readonly layer: Layer;
  readonly kernels: Kernels;
  readonly cache: KvCache;
  readonly outputs: number[] = [];
  readonly #attending;

  constructor(layer: Layer, kernels = new Kernels(compiled), cache = dirtyCache(kernels, layer.shape)) {
    [this.layer, this.kernels, this.cache] = [layer, kernels, cache];
    const { group, scale, cap, chunked, prefix, slopes, sinks } = layer;
    const [slopesAt, sinksAt] = [slopes, sinks].map((values) => (values ? place(kernels, values) : 0));
    this.#attending = { group, scale, cap, chunked, prefix, slopes: slopesAt!, sinks: sinksAt! };
  }

  /** The next `count` tokens, in rows that are part of wider ones. */
  step(count: number): this {
    const { kernels, cache, layer } = this;
    const { q, k, v, o } = layer.widths;
    const [before, first] = [5, cache.length];
    const rows = (values: Float32Array, width: number) => {
      const wide = new Float32Array(count * (width + before)).fill(Number.NaN);
      for (let i = 0; i < count; i++) {
        wide.set(
          values.subarray((first + i) * width, (first + i + 1) * width),
          i * (width + before) + before,
        );
      }
      return place(kernels, wide) + before * 4;
    };
    const mark = kernels.mark();
    const bytes = (width: number) => (width + before) * 4;
    cache.append(rows(layer.k, k), bytes(k), rows(layer.v, v), bytes(v), count);
    const to = place(kernels, new Float32Array(count * (o + before)).fill(Number.NaN));
    cache.attend(
      { q: rows(layer.q, q), qStride: bytes(q), o: to, oStride: bytes(o) },
      count,
      this.#attending,
    );
    for (let i = 0; i < count; i++) this.outputs.push(...kernels.floats(to + i * bytes(o), o));
    kernels.reset(mark);
    return this;
  }

  /** All tokens that are left, so many at once. */
  steps(...pieces: readonly number[]): number[] {
    const end = this.layer.tokens;
    for (let i = 0; this.cache.length < end; i++) {
      this.step(Math.min(pieces[i % pieces.length]!, end - this.cache.length));
    }
    return this.outputs;
  }
}

/** What a value of a type becomes by being stored; of blocks, all values of one. */
const STORED: Record<KvType, (x: Float32Array) => number[]> = {
  f32: (x) => [...x],
  f16: (x) => [...x].map(nearestF16),
  bf16: (x) =>
    [...x].map((value) => {
      const [bits] = new Uint32Array(Float32Array.of(value).buffer);
      const even = (bits! + 0x7fff + ((bits! >>> 16) & 1)) & 0xffff0000;
      return new Float32Array(Uint32Array.of(even).buffer)[0]!;
    }),
  q8_0: (x) =>
    blocksOf(x).flatMap((block) => {
      const d = Math.fround(Math.max(...block.map(Math.abs)) / 127);
      const id = Math.fround(1 / d);
      const away = (value: number) => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
      return [...block].map((value) => away(Math.fround(value * id)) * nearestF16(d));
    }),
  q4_0: (x) =>
    blocksOf(x).flatMap((block) => {
      const extreme = block.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most));
      const d = Math.fround(extreme / -8);
      const id = Math.fround(1 / d);
      const quant = (value: number) =>
        Math.min(15, Math.floor(Math.fround(Math.fround(value * id) + 8.5))) - 8;
      return [...block].map((value) => quant(value) * nearestF16(d));
    }),
};

function blocksOf(x: Float32Array): Float32Array[] {
  return Array.from({ length: x.length / 32 }, (_, i) => x.subarray(i * 32, (i + 1) * 32));
}

/** For magnitudes that f16 has as normal numbers, or that are too small to matter. */
function nearestF16(value: number): number {
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value) || 1))) - 10);
  const whole = Math.floor(value / step);
  const rest = value / step - whole;
  return (rest > 0.5 || (rest === 0.5 && whole % 2 !== 0) ? whole + 1 : whole) * step;
}

/** o[tokens][heads × group × valueLength] in f64, of keys and values as they are stored. */
function reference(layer: Layer): number[] {
  const { shape, tokens, group, scale, cap, chunked, prefix, slopes, sinks, q } = layer;
  const { heads, keyLength, valueLength, window, type } = shape;
  const [k, v] = [STORED[type](layer.k), STORED[type](layer.v)];
  const o: number[] = [];
  for (let i = 0; i < tokens; i++) {
    for (let head = 0; head < heads * group; head++) {
      const kv = Math.floor(head / group);
      const first = chunked ? i - (i % window) : window > 0 ? Math.max(0, i - window + 1) : 0;
      const scores = Array.from({ length: Math.max(i + 1, prefix) - first }, (_, j) => {
        let dot = 0;
        for (let d = 0; d < keyLength; d++) {
          const key = k[((first + j) * heads + kv) * keyLength + d]!;
          dot += q[(i * heads * group + head) * keyLength + d]! * key;
        }
        const score = cap === 0 ? dot * scale : cap * Math.tanh((dot * scale) / cap);
        return Math.exp(score - (slopes?.[head] ?? 0) * (i - first - j));
      });
      const sum = scores.reduce((total, score) => total + score, sinks ? Math.exp(sinks[head]!) : 0);
      for (let d = 0; d < valueLength; d++) {
        const value = (j: number) => v[((first + j) * heads + kv) * valueLength + d]!;
        o.push(scores.reduce((total, score, j) => total + (score / sum) * value(j), 0));
      }
    }
  }
  return o;
}

/** Largest |actual - expected|, over the largest |expected|. */
function error(actual: readonly number[], expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  const differences = expected.map((value, i) => Math.abs(actual[i]! - value));
  return (
    differences.reduce((a, b) => Math.max(a, b)) / expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
  );
}

/** What the kernel says that has all tokens at once, in f32. */
function whole(layer: Layer): number[] {
  const { shape, tokens, group, scale, cap, chunked, prefix, slopes, sinks, q, k, v, widths } = layer;
  const { heads, keyLength, valueLength, window } = shape;
  const kernels = new Kernels(compiled);
  const [qAt, kAt, vAt] = [q, k, v].map((values) => place(kernels, values));
  const [slopesAt, sinksAt] = [slopes, sinks].map((values) => (values ? place(kernels, values) : 0));
  const o = kernels.reserve(tokens * widths.o * 4);
  const scratch = kernels.reserve(kernels.call("attention_scratch")(tokens, keyLength, valueLength));
  const lengths = [tokens, heads * group, heads, keyLength, valueLength] as const;
  const bend = [scale, cap, slopesAt!, sinksAt!, window, Number(chunked), prefix] as const;
  kernels.call("attention")(qAt!, kAt!, vAt!, o, ...lengths, ...bend, scratch, 0, lengths[1]!);
  return [...kernels.floats(o, tokens * widths.o)];
}

const CASES: readonly [string, Case][] = [
  ["one token", { tokens: 1, group: 1 }],
  ["a head each", { tokens: 75, group: 1 }],
  ["two heads each", { tokens: 300, group: 2 }],
  ["four heads each", { tokens: 270, group: 4 }],
  ["seven heads each", { tokens: 75, group: 7 }],
  ["more heads each than a block", { tokens: 9, group: 71, heads: 1 }],
  ["lengths of 80 and 64", { tokens: 75, group: 4, keyLength: 80, valueLength: 64 }],
  ["lengths of 12 and 16", { tokens: 75, group: 3, keyLength: 12, valueLength: 16 }],
  ["lengths of 7 and 11", { tokens: 41, group: 1, keyLength: 7, valueLength: 11 }],
  ["long heads", { tokens: 20, group: 5, keyLength: 320, valueLength: 128, heads: 1 }],
  ["a cap", { tokens: 75, group: 4, cap: 3 }],
  ["slopes", { tokens: 300, group: 3, alibi: true }],
  ["sinks", { tokens: 75, group: 4, sinks: true }],
  ["a prefix", { tokens: 130, group: 2, prefix: 45 }],
  ["a window within the first cells", { tokens: 75, group: 2, window: 13 }],
  ["a window of one", { tokens: 75, group: 1, window: 1 }],
  ["chunks", { tokens: 75, group: 2, window: 13, chunked: true }],
  ["a ring of chunks", { tokens: 1100, group: 2, window: 100, chunked: true, heads: 1 }],
  ["a ring", { tokens: 1100, group: 2, window: 100, heads: 1 }],
  ["a ring that a batch fills up", { tokens: 900, group: 1, window: 193, heads: 1 }],
  [
    "a ring of chunks with all else",
    { tokens: 700, group: 4, window: 33, chunked: true, cap: 5, alibi: true, sinks: true, heads: 1 },
  ],
  [
    "a ring with all else",
    { tokens: 700, group: 4, window: 33, cap: 5, alibi: true, sinks: true, heads: 1, keyLength: 12 },
  ],
];

describe.each(CASES)("%s", (_, given) => {
  const layer = new Layer(given);
  const { window } = layer.shape;
  const pieces = given.prefix === undefined ? [64] : [given.prefix, 64];
  const outputs = new Run(layer).steps(...pieces);

  test("is the formula", () => {
    expect(error(outputs, reference(layer))).toBeLessThan(3e-6);
  });

  test.runIf(given.prefix === undefined)("has the same bits in any pieces", () => {
    for (const pieces of [[1], [7], [5, 1, 64, 2]]) expect(new Run(layer).steps(...pieces)).toEqual(outputs);
    const whole = new Layer({ ...given, batch: layer.tokens });
    expect(new Run(whole).steps(layer.tokens)).toEqual(outputs);
  });

  // With a window the kernel for whole chunks has its sums begin elsewhere.
  test("is what all tokens at once give", () => {
    if (window === 0) expect(outputs).toEqual(whole(layer));
    else expect(error(outputs, whole(layer))).toBeLessThan(5e-7);
  });

  test.each(modules.slice(1))("has the same bits with products of $dot, $bits bits", (products) => {
    expect(new Run(layer, new Kernels(compiled, products)).steps(...pieces, 1)).toEqual(
      new Run(layer).steps(...pieces, 1),
    );
  });
});

describe.each(KV_TYPES)("kept as %s", (type) => {
  const heads = { type, heads: 2, keyLength: 64, valueLength: 96 };

  test.each<[string, Case]>([
    ["all", { ...heads, tokens: 270, group: 4 }],
    ["a ring", { ...heads, tokens: 600, group: 1, window: 50 }],
  ])("%s", (_, given) => {
    const layer = new Layer(given);
    const outputs = new Run(layer).steps(64);
    expect(error(outputs, reference(layer))).toBeLessThan(3e-6);
    for (const pieces of [[1], [13, 1]]) expect(new Run(layer).steps(...pieces)).toEqual(outputs);
    for (const products of modules) {
      expect(new Run(layer, new Kernels(compiled, products)).steps(33, 1)).toEqual(outputs);
    }
  });

  test("takes exactly the bytes that it says", () => {
    const { shape } = new Layer({ ...heads, tokens: 1000, group: 1 });
    const element = { f32: 4, f16: 2, bf16: 2, q8_0: 34 / 32, q4_0: 18 / 32 }[type];
    expect(kvBytes(shape)).toBe(2 * 1000 * (64 + 96) * element);
    expect(kvBytes({ ...shape, window: 200, batch: 57 })).toBe(2 * 512 * (64 + 96) * element);
    const kernels = new Kernels(compiled);
    const start = kernels.reserve(0);
    const cache = new KvCache(kernels, shape);
    expect(kernels.mark() - start).toBe(kvBytes(shape));
    const [bytes, behind] = [16, kernels.reserve(16)];
    kernels.bytes(behind, bytes).fill(0x5a);
    const x = place(kernels, new Float32Array(1000 * 2 * 96).fill(Number.NaN));
    cache.append(x, 2 * 64 * 4, x, 2 * 96 * 4, 1000);
    expect([...kernels.bytes(behind, bytes)]).toEqual(new Array(bytes).fill(0x5a));
  });
});

test("heads that do not divide into blocks are refused", () => {
  const { shape } = new Layer({ tokens: 8, group: 1, type: "q8_0", keyLength: 64, valueLength: 80 });
  expect(() => kvBytes(shape)).toThrow("heads of 80 do not divide into Q8_0 blocks of 32");
  expect(() => new KvCache(new Kernels(compiled), shape)).toThrow("heads of 80 do not divide");
});

describe("tokens that are forgotten", () => {
  /** Appends what must never be seen. */
  function spoil(run: Run, count: number): void {
    const { kernels, cache, layer } = run;
    const mark = kernels.mark();
    const x = place(kernels, new Float32Array(count * 64).fill(Number.NaN));
    cache.append(x, layer.widths.k * 4, x, layer.widths.v * 4, count);
    kernels.reset(mark);
  }

  test.each<[string, Case]>([
    ["all", { tokens: 300, group: 2 }],
    ["blocks", { tokens: 300, group: 2, type: "q4_0", keyLength: 32, valueLength: 32 }],
    ["a ring", { tokens: 800, group: 2, window: 40 }],
    ["a ring of chunks", { tokens: 800, group: 2, window: 40, chunked: true }],
    ["a ring without room to spare", { tokens: 400, group: 2, window: 192 }],
  ])("leave no trace in a cache of %s", (_, given) => {
    const layer = new Layer({ ...given, capacity: given.tokens + 64 });
    const run = new Run(layer);
    const { cache } = run;
    for (let i = 0; cache.length < layer.tokens; i++) {
      run.step(Math.min(i % 2 === 0 ? 1 : 13, layer.tokens - cache.length));
      const { length } = cache;
      spoil(run, [1, 9, 64][i % 3]!);
      expect(cache.truncate(length)).toBe(true);
      expect(cache.length).toBe(length);
    }
    expect(run.outputs).toEqual(new Run(layer).steps(64));
  });

  test("may be any of a cache that keeps all, and none before the start", () => {
    const run = new Run(new Layer({ tokens: 100, group: 1 })).step(50);
    const { cache } = run;
    expect(cache.truncate(51)).toBe(false);
    expect([17, 17, 3, 0].map((length) => [cache.truncate(length), cache.length])).toEqual(
      [17, 17, 3, 0].map((length) => [true, length]),
    );
    run.outputs.length = 0;
    expect(run.steps(64)).toEqual(new Run(run.layer).steps(64));
  });

  test("are those of a ring only while what is seen is there", () => {
    const layer = new Layer({ tokens: 700, group: 1, window: 100, batch: 64 });
    const run = new Run(layer);
    while (run.cache.length < 600) run.step(60);
    const { cache } = run;
    expect(cache.cells).toBe(256);
    // The ring has positions 344 to 599; a token at 443 sees back to 344.
    expect(cache.truncate(442)).toBe(false);
    expect(cache.length).toBe(600);
    expect(cache.truncate(443)).toBe(true);
    const { o } = layer.widths;
    run.outputs.length = 443 * o;
    expect(run.steps(64)).toEqual(new Run(layer).steps(64));
    expect(cache.truncate(0)).toBe(true);
  });
});

describe("a copy", () => {
  const CASES: readonly [string, Case, number][] = [
    ["all", { tokens: 100, group: 2, keyLength: 12 }, 160],
    ["blocks", { tokens: 100, group: 1, type: "q8_0", keyLength: 32, valueLength: 64 }, 104],
    ["a ring", { tokens: 600, group: 2, window: 40 }, 900],
  ];

  test.each(CASES)("of %s goes its own way", (_, given, capacity) => {
    const layer = new Layer(given);
    const run = new Run(layer);
    while (run.cache.length < 60 || (given.window !== undefined && run.cache.length < 400)) run.step(20);
    const { length } = run.cache;
    const other = new KvCache(run.kernels, { ...layer.shape, capacity });
    other.copyFrom(run.cache);
    const copies = [run.cache.fork(), other].map((cache) => {
      const copy = new Run(layer, run.kernels, cache);
      expect(cache.length).toBe(length);
      return copy;
    });
    run.cache.truncate(length - 5);
    run.step(3);
    const expected = new Run(layer).steps(64).slice(length * layer.widths.o);
    for (const copy of copies) expect(copy.steps(7)).toEqual(expected);
  });

  test("of what does not fit is refused", () => {
    const kernels = new Kernels(compiled);
    const of = (given: Partial<Case>) =>
      new KvCache(kernels, new Layer({ tokens: 64, group: 1, ...given }).shape);
    const run = new Run(new Layer({ tokens: 64, group: 1 }), kernels, of({})).step(20);
    expect(() => of({ tokens: 19 }).copyFrom(run.cache)).toThrow(RangeError);
    expect(() => of({ keyLength: 8 }).copyFrom(run.cache)).toThrow(RangeError);
    expect(() => of({ tokens: 20 }).copyFrom(run.cache)).not.toThrow();
  });
});

test("more tokens than there is room for, or than there are, are refused", () => {
  const { cache } = new Run(new Layer({ tokens: 10, group: 1 }));
  expect(() => cache.append(0, 0, 0, 0, 11)).toThrow(RangeError);
  const queries = { q: 0, qStride: 0, o: 0, oStride: 0 };
  expect(() => cache.attend(queries, 1, { group: 1, scale: 1 })).toThrow(RangeError);
  const ring = new KvCache(new Kernels(compiled), new Layer({ tokens: 900, group: 1, window: 9 }).shape);
  expect(kvCells(ring.shape)).toBe(256);
  expect(() => ring.append(0, 0, 0, 0, 65)).toThrow(RangeError);
});
