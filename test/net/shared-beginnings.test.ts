import { describe, expect, test } from "vitest";
import { compileKernels, Kernels } from "../../src/kernels/kernels.js";
import { pairVectors } from "../../src/kernels/products.js";
import { openModel } from "../../src/model.js";
import { KvCache, sharedCells } from "../../src/net/mixers/state/kv-cache.js";
import { chooseProducts } from "../../src/net/products/products.js";
import type { TeamOptions } from "../../src/net/team/team.js";
import { KV_TYPES } from "../../src/quant/fit/memory.js";
import { Random } from "../support/random.js";
import { TINY_LLAMA } from "../support/scratch.js";
import { bits, FAMILIES, feed, withTeam } from "../support/team.js";

// What several sequences begin with is read once for all of them, and changes no bit of what each gives alone.

pairVectors();
const compiled = compileKernels();

describe.each([undefined, chooseProducts("generation")])("caches that begin alike", (products) => {
  const cases = KV_TYPES.flatMap((type) => [
    { type, heads: 2, group: 3, keyLength: 64, valueLength: 32, bend: {} },
    { type, heads: 1, group: 7, keyLength: 32, valueLength: 64, bend: { cap: 30, slopes: true } },
    { type, heads: 1, group: 16, keyLength: 64, valueLength: 64, bend: { sinks: true } },
  ]);
  test.each(cases)(
    "$type, groups of $group: $bend",
    ({ type, heads, group, keyLength, valueLength, bend }) => {
      const kernels = new Kernels(compiled, products);
      const random = new Random(group);
      const place = (values: Float32Array) => {
        const address = kernels.reserve(values.byteLength);
        kernels.floats(address, values.length).set(values);
        return address;
      };
      const shape = { type, heads, keyLength, valueLength, capacity: 700, window: 0, batch: 700 };
      const append = (cache: KvCache, count: number) => {
        const mark = kernels.mark();
        const [k, v] = [keyLength, valueLength].map((length) => place(random.floats(count * heads * length)));
        cache.append(k!, heads * keyLength * 4, v!, heads * valueLength * 4, count);
        kernels.reset(mark);
      };
      const { cap = 0, slopes, sinks } = { slopes: false, sinks: false, ...bend };
      const perHead = () => place(random.floats(heads * group));
      const attending = {
        group,
        scale: 0.3,
        cap,
        slopes: slopes ? perHead() : 0,
        sinks: sinks ? perHead() : 0,
      };
      const first = new KvCache(kernels, shape);
      append(first, 530);
      const caches = [first, ...Array.from({ length: 12 }, () => first.fork())];
      for (const [i, cache] of caches.entries()) append(cache, 1 + ((i * 37) % 160));
      const [qStride, oStride] = [heads * group * keyLength * 4, heads * group * valueLength * 4];
      const q = place(random.floats((caches.length * qStride) / 4));
      const outputs = () => kernels.reserve(caches.length * oStride);
      const [together, alone] = [outputs(), outputs()];
      kernels.reserve(first.attendBytes(caches.length, group));
      const shared = sharedCells(caches, attending, kernels, 530);
      expect(shared).toBe(512);
      KvCache.attendTogether(caches, shared, { q, qStride, o: together, oStride }, attending);
      for (const [i, cache] of caches.entries()) {
        cache.attend({ q: q + i * qStride, qStride, o: alone + i * oStride, oStride }, 1, attending);
      }
      const bytes = caches.length * oStride;
      expect(Buffer.compare(kernels.bytes(together, bytes), kernels.bytes(alone, bytes))).toBe(0);
    },
  );

  test("are read one by one where they are rings, or heads of a group are too many", () => {
    const kernels = new Kernels(compiled, products);
    const shape = { type: "f16", heads: 1, keyLength: 32, valueLength: 32, capacity: 600, batch: 8 } as const;
    const cells = (window: number, group: number, begun = 300) => {
      const caches = [0, 1].map(() => new KvCache(kernels, { ...shape, window }));
      return sharedCells(caches, { group, scale: 1 }, kernels, begun);
    };
    expect([cells(0, 4), cells(0, 4, 255), cells(9, 4), cells(0, 17)]).toEqual([256, 0, 0, 0]);
  });
});

describe("sequences that begin alike", { timeout: 120_000 }, () => {
  test.each<[string, string, TeamOptions]>([
    ["f32", TINY_LLAMA, { activations: "f32", kvType: "f32" }],
    ["int8, two threads", TINY_LLAMA, { activations: "int8", threads: 2 }],
    ["sinks and windows", `${FAMILIES}gpt-oss`, {}],
    ["other layers' keys", `${FAMILIES}gemma4-shared`, {}],
  ])("say what each says alone: %s", async (_, path, options) => {
    const model = openModel(path);
    const random = new Random(7);
    const stem = random.ids(300, model.hparams.vocabSize);
    const other = [...stem.slice(0, 280), ...random.ids(20, model.hparams.vocabSize)];
    const ends = [3, 40, 11, 1].map((length) => random.ids(length, model.hparams.vocabSize));
    const texts = ends.map((end, i) => [...(i === 2 ? other : stem), ...end]);
    const rest = random.ids(3, model.hparams.vocabSize);
    const context = 400;
    const alone = await Promise.all(
      texts.map((tokens) =>
        withTeam(model, { ...options, context }, async (team) => {
          await feed(team, tokens);
          const last = [];
          for (const token of rest) last.push(bits(await feed(team, [token])));
          return last;
        }),
      ),
    );
    await withTeam(model, { ...options, context, sequences: 5 }, async (team) => {
      await feed(team, stem, { sequence: 4 });
      for (const sequence of [0, 1, 2, 3]) team.copy(sequence, 4);
      expect(team.truncate(2, 280)).toBe(true); // goes its own way from there
      await feed(team, texts[2]!.slice(280), { sequence: 2 });
      for (const sequence of [0, 1, 3]) await feed(team, ends[sequence]!, { sequence });
      const together: string[][] = [[], [], [], []];
      for (const token of rest) {
        const logits = await team.step([1, 3, 0, 2], new Int32Array(4).fill(token));
        for (const [i, sequence] of [1, 3, 0, 2].entries()) together[sequence]!.push(bits(logits[i]!));
      }
      expect(together).toEqual(alone);
    });
  });
});
