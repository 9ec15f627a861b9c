import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { byteLength } from "../../formats/dtype.js";
import { PRESETS } from "../../src/arch/published/presets.js";
import { configOutline, type Outline } from "../../src/outline.js";
import {
  computeBuffer,
  KV_TYPES,
  type KvType,
  kvCache,
  largestContext,
  runBytes,
  runMemory,
} from "../../src/quant/fit/memory.js";
import { recipeSize, weightCount } from "../../src/quant/fit/size.js";
import { factsOf } from "../../src/quant/plan.js";
import { chooseTypes } from "../../src/quant/recipes/choose.js";
import { parseOverride } from "../../src/quant/recipes/override.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { refusal } from "../support/build/build.js";

// Published models, by their configurations alone; golden/make/published.py and fit.py.
const GOLDEN = new URL("../golden/", import.meta.url);
const GIB = 2 ** 30;

function read(file: string) {
  return JSON.parse(readFileSync(new URL(file, GOLDEN), "utf8"));
}

function outlineOf(name: string): Outline {
  return configOutline(name, name, PRESETS.get(name)!.config);
}

const bytesOf = (outline: Outline, recipe: string) => recipeSize(outline, findRecipe(recipe)).byteLength;

interface Shapes {
  readonly parameters: number;
  readonly counts: { readonly i: number };
  readonly gguf?: readonly (readonly [name: string, shape: readonly number[], dtype: string])[];
}

describe("presets have the tensors that llama.cpp's converter writes", () => {
  const files = readdirSync(new URL("families/published/", GOLDEN));

  test.each(files)("%s", (file) => {
    const name = file.replace(/\.json$/, "").toLowerCase();
    const golden: Shapes = read(`families/published/${file}`);
    const { tensors } = outlineOf(name);
    // The published Falcon-40B has an output of its own, which transformers' class ties.
    const surplus = name === "falcon-40b" ? ["output.weight"] : [];
    const ours = tensors.filter((tensor) => tensor.role !== "rope_freqs" && !surplus.includes(tensor.name));
    expect(weightCount(ours)).toBe(golden.parameters);
    const expected = golden.gguf?.flatMap(([pattern, shape]): [string, string][] => {
      const count = pattern.includes("{i}") ? golden.counts.i : 1;
      return Array.from({ length: count }, (_, i) => [pattern.replace("{i}", `${i}`), shape.join()]);
    });
    if (expected === undefined) return;
    const found = tensors.filter((tensor) => !surplus.includes(tensor.name));
    expect(new Map(found.map(({ name, shape }) => [name, shape.join()]))).toEqual(new Map(expected));
  });
});

test("Gemma 3n and 4 have the parameters of transformers' models, and the rows that pad a table", () => {
  for (const [name, parameters] of Object.entries<number>(read("fit/gemma.json"))) {
    const { hparams, tensors } = outlineOf(name);
    const own = tensors.filter(({ role }) => role !== "rope_freqs");
    const padding = name.startsWith("gemma-3n") ? 256 * hparams.blockCount * 256 : 0;
    expect(weightCount(own) - padding).toBe(parameters);
  }
});

/** GiB and bits to two digits. */
interface Computed {
  readonly weights: number;
  /** In F32, F16, Q8_0 and Q4_K_M. */
  readonly gib: readonly number[];
  /** A weight's in Q4_K_M. */
  readonly bits: number;
  /** Bytes of keys and values of a token, in f16. */
  readonly kv: number;
  /** Tokens that fit 8 GiB of which 0.6 are for everything else: F16, Q8_0, Q4_K_M, and that with KV in q8_0. */
  readonly tokens: readonly (number | null)[];
}

const { models, caches } = read("fit/shapes.json");

/**
 * Bytes in Q4_K_M by the rules that the calculation has, those of llama.cpp of early 2025: there, fused matrices of
 * queries, keys and values became Q5_K. llq takes the first ChatGLM's apart.
 */
function bytesByOldRules(outline: Outline): number {
  const roles = outline.path === "chatglm-6b" ? ["attn_q", "attn_k", "attn_v"] : ["attn_qkv"];
  const overrides = roles.map((role) => parseOverride(`${role}=Q5_K`));
  const { tensors } = outline;
  const choices = chooseTypes(findRecipe("Q4_K_M"), tensors, factsOf(outline, undefined), { overrides });
  return tensors.reduce((sum, { shape }, i) => sum + byteLength(choices[i]!.dtype, shape), 0);
}

describe("weights, KV cache and tokens in 8 GiB as an independent calculation has them", () => {
  test.each(Object.entries<Computed>(models))("%s", (name, computed) => {
    const outline = outlineOf(name);
    const weights = weightCount(outline.tensors.filter(({ role }) => role !== "rope_freqs"));
    const sizes = ["F32", "F16", "Q8_0"].map((recipe) => bytesOf(outline, recipe));
    sizes.push(bytesByOldRules(outline));
    const kv = (type: KvType) => kvCache(outline, 256, type).bytes / 256;
    const files: [bytes: number, perToken: number][] = [
      [sizes[1]!, kv("f16")],
      [sizes[2]!, kv("f16")],
      [sizes[3]!, kv("f16")],
      [sizes[3]!, kv("q8_0")],
    ];
    const tokens = files.map(([bytes, perToken]) => {
      const fitting = Math.floor((7.4 * GIB - bytes) / perToken);
      const needed = (context: number) => bytes + context * perToken;
      const stepped = fitting < 256 ? undefined : fitting - (fitting % 256);
      expect(largestContext(2 ** 24, 7.4 * GIB, needed)).toBe(stepped);
      return fitting < 0 ? null : fitting;
    });
    const gib = sizes.map((bytes) => Math.round((100 * bytes) / GIB) / 100);
    const bits = Math.round((800 * sizes[3]!) / weights) / 100;
    expect({ weights, gib, bits, kv: kv("f16"), tokens }).toEqual(computed);
  });
});

type Cache = [name: string, context: number, bytes: number, f32: number, q8: number, q4: number];

test.each(caches as Cache[])("the KV cache of %s with %d tokens", (name, context, bytes, f32, q8, q4) => {
  const of = (type: KvType) => kvCache(outlineOf(name), context, type).bytes;
  expect(of("f16")).toBe(bytes);
  const gib = [of("f32"), of("q8_0"), of("q4_0")].map((each) => Math.round((1000 * each) / GIB) / 1000);
  expect(gib).toEqual([f32, q8, q4]);
});

interface LlamaCpp {
  /** Bytes of the tensors in F16, and in other recipes. */
  readonly weights: number;
  readonly files: Readonly<Record<string, number>>;
  /** Bytes of KV cache and compute buffers, by `context type`; null where llama.cpp refuses the type. */
  readonly runs: Readonly<Record<string, readonly [cache: number, compute: number] | null>>;
}

/** Bytes that llama.cpp's process takes beside its buffers: at least these, and these for each token it knows. */
const PROGRAM = 10 << 20;
const PER_TOKEN = 360;

describe("memory as llama.cpp allocates it", () => {
  test.each(Object.entries<LlamaCpp>(read("fit/llama-cpp.json")))("%s", (name, { weights, files, runs }) => {
    const preset = outlineOf(name);
    const tied = preset.tensors.filter(({ role }) => role !== "output");
    const outline = name === "falcon-40b" ? { ...preset, tensors: tied } : preset; // see above
    const sizes = Object.keys(files).map((recipe) => [recipe, bytesOf(outline, recipe)]);
    expect(Object.fromEntries([["F16", bytesOf(outline, "F16")], ...sizes])).toEqual({
      F16: weights,
      ...files,
    });
    for (const [run, found] of Object.entries(runs)) {
      const [context, type] = run.split(" ") as [string, KvType];
      if (found === null) {
        expect([run, refusal(() => kvCache(outline, Number(context), type))]).toEqual([
          run,
          expect.stringMatching(/^usage: heads of \d+ do not divide into/),
        ]);
        continue;
      }
      const [cache, compute] = found;
      expect([run, kvCache(outline, Number(context), type).bytes]).toEqual([run, cache]);
      // The compute buffer is estimated, and what is estimated too low has room in the overhead.
      const estimate = computeBuffer(outline, Number(context)).bytes;
      expect(estimate / compute, run).toBeGreaterThan(0.86);
      expect(estimate / compute, run).toBeLessThan(1.32);
      const taken = cache + compute + PROGRAM + PER_TOKEN * outline.hparams.vocabSize;
      expect(runBytes(runMemory(outline, Number(context), type))).toBeGreaterThan(taken);
    }
    // Without attention nothing grows with the context, in llama.cpp either.
    if (/^mamba/.test(name)) expect(computeBuffer(outline, 16384)).toEqual(computeBuffer(outline, 512));
  });

  test("every type of KV cache has a size", () => {
    const sizes = KV_TYPES.map((type) => kvCache(outlineOf("llama-2-7b"), 4096, type).bytes / GIB);
    expect(sizes).toEqual([4, 2, 2, 1.0625, 0.5625]);
  });
});
