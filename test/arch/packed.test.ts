import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Container, RawSource, TensorSource } from "../../formats/container.js";
import { openContainer } from "../../formats/open.js";
import { type Model, openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import type { AwqCoding } from "../../src/rows/packed/awq.js";
import type { GptqCoding } from "../../src/rows/packed/gptq.js";
import { unpackWeights } from "../../src/rows/packed/index.js";
import type { ScaledCoding } from "../../src/rows/packed/scaled.js";
import type { SumCoding } from "../../src/rows/packed/sum.js";
import { transposed } from "../../src/rows/transposed.js";
import { refusal } from "../support/build/build.js";
import { attack } from "../support/damage.js";
import { decoded, digestOf } from "../support/packed/packed.js";
import { TINY_LLAMA } from "../support/scratch.js";
import { TARGETS } from "../targets.js";
import { unpack as unpackConfig } from "./packed/unpacked.js";

const golden: { sha256: Record<string, [number[], string]>; e4m3: string[]; e5m2: string[] } = JSON.parse(
  readFileSync("test/golden/containers/packed.json", "utf8"),
);

function unpack(file: string, quantization?: object): Container {
  return unpackConfig(file, { quantization_config: quantization });
}

describe("weights are what the packers' own programs unpack", () => {
  const gptq = (bits: number, size = 32) => ({
    quant_method: "gptq",
    bits,
    group_size: size,
    desc_act: true,
  });
  const awq = { quant_method: "awq", bits: 4, group_size: 32, version: "gemm", zero_point: true };
  const fp8 = { quant_method: "fp8", weight_block_size: [128, 128] };
  const cases: [file: string, names: string[], quantization: object][] = [
    ["gptq-4", ["four", "plain"], gptq(4)],
    ["gptq-8", ["eight"], gptq(8)],
    ["gptq-2", ["two"], gptq(2)],
    ["gptq-3", ["three"], gptq(3)],
    ["awq", ["awq"], awq],
    ["fp8", ["blocks", "tensor", "tensor1", "rows", "channels"], fp8],
  ];
  const every = cases.flatMap(([file, names, quantization]) =>
    names.map((name) => [name, file, quantization] as const),
  );

  test.each(every)("%s", (name, file, quantization) => {
    const container =
      file === "gptq-4" ? withoutLayer(file, "whole", quantization) : unpack(file, quantization);
    const source = container.tensors.get(`${name}.weight`)!;
    const [shape, hash] = golden.sha256[name]!;
    expect(source.shape).toEqual(shape);
    for (const step of [1, 5, 8, 1000])
      expect(digestOf(decoded(container, source, step)), `${step}`).toBe(hash);
    expect([...container.tensors.keys()].filter((each) => !each.endsWith(".weight"))).toEqual([]);
  });

  /** Layers with groups of another size cannot be in one checkpoint; the file has one all the same. */
  function withoutLayer(file: string, layer: string, quantization: object): Container {
    const container = openContainer(`test/golden/containers/packed-${file}.safetensors`);
    const without = <T>(map: ReadonlyMap<string, T>) =>
      new Map([...map].filter(([name]) => !name.startsWith(layer)));
    const parts = { tensors: without(container.tensors), raw: without(container.raw!) };
    return unpackWeights({ ...container, ...parts }, "config.json", { quantization_config: quantization });
  }

  test("a group for all columns, which the file says with -1", () => {
    const container = openContainer("test/golden/containers/packed-gptq-4.safetensors");
    const only = <T>(map: ReadonlyMap<string, T>) =>
      new Map([...map].filter(([name]) => name.startsWith("whole")));
    const parts = { tensors: only(container.tensors), raw: only(container.raw!) };
    const unpacked = unpackWeights({ ...container, ...parts }, "c", { quantization_config: gptq(4, -1) });
    const source = unpacked.tensors.get("whole.weight")!;
    expect(digestOf(decoded(unpacked, source, 16))).toBe(golden.sha256["whole"]![1]);
  });

  test("rows are permuted as stored ones are", () => {
    const container = unpack("fp8", fp8);
    const source = container.tensors.get("rows.weight")!;
    const plain = decoded(container, source, 24);
    const permuted = decoded(container, source, 7, { transforms: [{ kind: "permuteRope", heads: 3 }] });
    const row = (values: Float32Array, i: number) => [...values.subarray(i * 32, (i + 1) * 32)];
    for (let i = 0; i < 24; i++) {
      const j = i % 8;
      expect(row(permuted, i)).toEqual(row(plain, i - j + (j >> 1) + (j & 1) * 4));
    }
  });

  test("GPTQ's second format has zeros as they are", () => {
    const [first, second] = ["gptq", "gptq_v2"].map((checkpoint_format) => {
      const container = unpack("gptq-8", { ...gptq(8), checkpoint_format });
      return decoded(container, container.tensors.get("eight.weight")!, 64);
    });
    const scales = openContainer("test/golden/containers/packed-gptq-8.safetensors").tensors.get(
      "eight.scales",
    );
    expect(scales!.shape).toEqual([4, 64]);
    // q - (z + 1) and q - z: a step of the grid apart, so never equal and of one sign
    expect(first!.every((value, i) => second![i]! > value)).toBe(true);
  });
});

type AnyCoding = GptqCoding | AwqCoding | ScaledCoding | SumCoding;

test("GPTQ and AWQ are not quantized again unasked; 8-bit floats are", () => {
  const model = openModel(TINY_LLAMA);
  const packedAs = (coded: AnyCoding): Model => {
    const [first, ...rest] = model.tensors;
    return { ...model, tensors: [{ ...first!, sources: [{ ...first!.sources[0]!, coded }] }, ...rest] };
  };
  const source = model.tensors[0]!.sources[0]!;
  const parts = { words: source, zeros: source, scales: source, groupSize: 32 };
  const gptq: GptqCoding = { kind: "gptq", bits: 4, zeroOffset: 1, groups: undefined, ...parts };
  const sum: SumCoding = { kind: "sum", base: { ...source, coded: gptq }, a: source, b: source, scale: 1 };
  const recipe = findRecipe("Q4_0");
  for (const [coded, type] of [
    [gptq, "GPTQ-4"],
    [{ kind: "awq", ...parts }, "AWQ-4"],
    [sum, "GPTQ-4"],
  ] as const) {
    expect(refusal(() => planQuantize(packedAs(coded), recipe))).toBe(
      `usage: ${TINY_LLAMA}: tensor token_embd.weight is quantized already (${type})`,
    );
    expect(planQuantize(packedAs(coded), recipe, { allowRequantize: true }).tensors).toHaveLength(39);
  }
  expect(planQuantize(packedAs({ kind: "scaled", type: "F8_E4M3" }), recipe).tensors).toHaveLength(39);
});

test("damage never gets through as anything but a refusal", () => {
  const target = TARGETS.find(({ name }) => name === "packed weights")!;
  const { accepted, refused } = attack(target, 5000, 1);
  expect(Math.min(accepted, refused)).toBeGreaterThan(0);
});

test("every byte is the 8-bit float that torch has for it", () => {
  const container = unpack("bytes");
  for (const type of ["e4m3", "e5m2"] as const) {
    const values = decoded(container, container.tensors.get(`${type}.weight`)!, 2);
    const expected = golden[type].map((text) => Number(text.replace("inf", "Infinity")));
    expect([...values]).toEqual(expected);
    expect([...values].map((value) => Object.is(value, -0))).toEqual(
      expected.map((value) => Object.is(value, -0)),
    );
  }
  const int8 = decoded(container, container.tensors.get("int8.weight")!, 1);
  expect([...int8]).toEqual(Array.from({ length: 256 }, (_, i) => (i - 128) * (i < 128 ? 0.5 : 0.25)));
});

describe("refusals", () => {
  const raw = (type: string, ...shape: number[]): RawSource => ({
    type,
    file: 0,
    offset: 8,
    byteLength: 0,
    shape,
  });
  const float = (...shape: number[]): TensorSource => ({
    dtype: "F16",
    file: 0,
    offset: 8,
    byteLength: 0,
    shape,
  });
  /** 64 rows and 128 columns in 4 bits, groups of 32. */
  const layer = {
    raw: { "x.qweight": raw("I32", 16, 64), "x.qzeros": raw("I32", 4, 8), "x.g_idx": raw("I32", 128) },
    tensors: { "x.scales": float(4, 64) },
  };
  const awqLayer = {
    raw: { "x.qweight": raw("I32", 128, 8), "x.qzeros": raw("I32", 4, 8) },
    tensors: { "x.scales": float(4, 64) },
  };
  const gptq = { quant_method: "gptq", bits: 4, group_size: 32 };
  const awq = { quant_method: "awq", bits: 4, group_size: 32 };
  const small = (scale: TensorSource | undefined, weight = raw("F8_E4M3", 200, 150)) => ({
    raw: { "x.weight": weight },
    tensors: scale === undefined ? {} : { "x.weight_scale": scale },
  });
  const fp8 = { quant_method: "fp8" };
  interface Layer {
    readonly raw: Record<string, RawSource | undefined>;
    readonly tensors: Record<string, TensorSource | undefined>;
  }
  const refused = ({ raw: integers, tensors }: Layer, quantization: unknown) =>
    refusal(() => {
      const present = <T>(of: Record<string, T | undefined>) =>
        new Map(Object.entries(of).filter((entry): entry is [string, T] => entry[1] !== undefined));
      const container: Container = {
        format: "safetensors",
        files: ["x"],
        tensors: present(tensors),
        opaque: new Map(),
        raw: present(integers),
        metadata: new Map(),
      };
      unpackWeights(container, "config.json", { quantization_config: quantization });
    });
  const without = (of: Layer, name: string): Layer => ({
    raw: { ...of.raw, [name]: undefined },
    tensors: { ...of.tensors, [name]: undefined },
  });
  const changed = (of: Layer, name: string, source: RawSource | TensorSource): Layer =>
    "type" in source
      ? { ...of, raw: { ...of.raw, [name]: source } }
      : { ...of, tensors: { ...of.tensors, [name]: source } };

  test("the layers that the others are made from", () => {
    expect(refused(layer, gptq)).toBe("accepted");
    expect(refused(awqLayer, awq)).toBe("accepted");
    expect(refused(small(float(2, 2)), fp8)).toBe("accepted");
  });

  // biome-ignore format: rows
  const bad: [string, Layer, unknown, string][] = [
    ["a configuration that is none",       layer, "gptq",                                 "bad-input: config.json: quantization_config: the whole"],
    ["no method",                          layer, {},                                     "unsupported: config.json: weights quantized by an unnamed method"],
    ["a method nobody here knows",         layer, { quant_method: "quip" },               "unsupported: config.json: weights quantized by quip"],
    ["weights that are rotated",           layer, { quant_method: "compressed-tensors", transform_config: { config_groups: { R1: {} } } }, "unsupported: config.json: weights that a transform_config rotates"],
    ["bits that are text",                 layer, { ...gptq, bits: "4" },                 "bad-input: config.json: quantization_config: bits"],
    ["half a bit",                         layer, { ...gptq, bits: 0.5 },                 "bad-input: config.json: quantization_config: bits"],
    ["3 bits that are 4",                  layer, { ...gptq, bits: 3 },                   "bad-input: x: x.qweight has 16 rows, which hold no whole number of 3 bits"],
    ["5 bits",                             layer, { ...gptq, bits: 5 },                   "unsupported: x: GPTQ with 5 bits"],
    ["rotated weights",                    layer, { ...gptq, rotation: "hadamard" },      "unsupported: x: weights quantized with rotation"],
    ["an adapter",                         layer, { ...gptq, adapter: { rank: 8 } },      "unsupported: x: weights quantized with adapter"],
    ["words of 16 bits",                   layer, { ...gptq, pack_dtype: "int16" },       "unsupported: x: GPTQ packed in int16"],
    ["tiles",                              layer, { ...gptq, is_marlin_format: true },    "unsupported: x: GPTQ in the format marlin"],
    ["no bits",                            layer, { ...gptq, bits: undefined },           "unsupported: x: GPTQ with unknown bits"],
    ["groups of no columns",               layer, { ...gptq, group_size: 0 },             "bad-input: config.json: quantization_config: group_size"],
    ["groups of -2 columns",               layer, { ...gptq, group_size: -2 },            "bad-input: config.json: quantization_config: group_size"],
    ["groups of another size",             layer, { ...gptq, group_size: 64 },            "bad-input: x: x.qzeros is 4 x 8; 2 groups of 64 rows were expected"],
    ["another width of words",             layer, { ...gptq, bits: 8 },                   "bad-input: x: x.qzeros is 4 x 8; 2 groups of 64 rows were expected"],
    ["marlin",                             layer, { ...gptq, checkpoint_format: "marlin" }, "unsupported: x: GPTQ in the format marlin"],
    ["no zeros",                           without(layer, "x.qzeros"), gptq,              "bad-input: x: x has no qzeros or no scales"],
    ["no scales",                          without(layer, "x.scales"), gptq,              "bad-input: x: x has no qzeros or no scales"],
    ["scales of other groups",             changed(layer, "x.scales", float(3, 64)), gptq, "bad-input: x: x.scales is 3 x 64; 4 x 64 were expected"],
    ["zeros that are bytes",               changed(layer, "x.qzeros", raw("U8", 4, 8)), gptq, "bad-input: x: x.qzeros is U8 of shape 4 x 8; I32 of 2 dimensions was expected"],
    ["words of 64 bits",                   changed(layer, "x.qweight", raw("I64", 16, 64)), gptq, "bad-input: x: x.qweight is I64 of shape 16 x 64; I32 of 2 dimensions was expected"],
    ["words in a line",                    changed(layer, "x.qweight", raw("I32", 1024)), gptq, "bad-input: x: x.qweight is I32 of shape 1024; I32 of 2 dimensions was expected"],
    ["no words",                           changed(layer, "x.qweight", raw("I32", 0, 64)), gptq, "bad-input: x: x.qweight is I32 of shape 0 x 64"],
    ["rows that are no whole words",       changed(layer, "x.qweight", raw("I32", 16, 60)), gptq, "bad-input: x: x.qzeros is 4 x 8; 4 groups of 60 rows were expected"],
    ["an order of other columns",          changed(layer, "x.g_idx", raw("I32", 64)), gptq, "bad-input: x: x.g_idx has 64 columns of 128"],
    ["a weight that is there twice",       changed(layer, "x.weight", float(64, 128)), gptq, "bad-input: x: x.weight is there packed and not packed"],
    ["a layer and no configuration",       layer, undefined,                              "unsupported: x: x is packed in integers by no known method"],
    ["GPTQ said to be 8-bit floats",       layer, fp8,                                    "unsupported: x: x is packed in integers by fp8"],
    ["compressed-tensors' own packing",    { raw: { "x.weight_packed": raw("I32", 64, 16) }, tensors: {} }, { quant_method: "compressed-tensors" }, "bad-input: x: x has no weight_scale"],
    ["AWQ of 8 bits",                      awqLayer, { ...awq, bits: 8 },                 "unsupported: x: AWQ with 8 bits"],
    ["AWQ for vectors",                    awqLayer, { ...awq, version: "gemv" },         "unsupported: x: AWQ packed for gemv"],
    ["AWQ with zeros of other rows",       changed(awqLayer, "x.qzeros", raw("I32", 4, 7)), awq, "bad-input: x: x.qzeros is 4 x 7; 4 groups of 64 rows were expected"],
    ["AWQ without scales",                 without(awqLayer, "x.scales"), awq,            "bad-input: x: x has no qzeros or no scales"],
    ["8-bit floats without scales",        small(undefined), fp8,                         "bad-input: x: x.weight is F8_E4M3 and has no x.weight_scale_inv or x.weight_scale"],
    ["8-bit integers without scales",      small(undefined, raw("I8", 4, 4)), undefined,  "bad-input: x: x.weight is I8 and has no x.weight_scale_inv or x.weight_scale"],
    ["scales of other blocks",             small(float(3, 2)), fp8,                       "bad-input: x: the scales of x.weight, 200 x 150, are 3 x 2"],
    ["scales of three dimensions",         small(float(2, 2, 1)), fp8,                    "bad-input: x: the scales of x.weight, 200 x 150, are 2 x 2 x 1"],
    ["scales of blocks the file denies",   small(float(2, 2)), { ...fp8, weight_block_size: [64, 64] }, "bad-input: x: the scales of x.weight, 200 x 150, are 2 x 2"],
    ["blocks of no rows",                  small(float(2, 2)), { ...fp8, weight_block_size: [0, 128] }, "bad-input: config.json: quantization_config: weight_block_size.0"],
    ["blocks of one side",                 small(float(2, 2)), { ...fp8, weight_block_size: [128] }, "bad-input: config.json: quantization_config: weight_block_size.1"],
    ["zero points",                        changed(small(float(2, 2)), "x.weight_zero_point", raw("I8", 2, 2)), fp8, "unsupported: x: x.weight has zero points"],
    ["a stack of 8-bit matrices",          small(float(2), raw("F8_E4M3", 2, 3, 4, 4)), fp8, "unsupported: x: x.weight is F8_E4M3 of shape 2 x 3 x 4 x 4"],
    ["an 8-bit vector",                    small(float(1), raw("F8_E4M3", 4)), fp8,       "unsupported: x: x.weight is F8_E4M3 of shape 4"],
  ];
  test.each(bad)("%s", (_, of, quantization, expected) => {
    expect(refused(of, quantization)).toContain(expected);
  });

  test("a column in a group that there is not", () => {
    const { files, tensors } = unpack("gptq-8", { quant_method: "gptq", bits: 8, group_size: 32 });
    const source = tensors.get("eight.weight")!;
    const coded = source.coded as GptqCoding;
    expect(coded.kind).toBe("gptq");
    // the order of the columns taken from where the words are
    const lying = {
      ...source,
      coded: { ...coded, groups: { ...coded.groups!, offset: coded.words.offset } },
    };
    const container: Container = { ...openContainer(files[0]!), files };
    expect(refusal(() => decoded(container, lying, 64))).toMatch(
      /^bad-input: tensor t: column \d+ is in group -?\d+ of 4$/,
    );
  });

  test("a packed weight that an architecture wants transposed", () => {
    const { tensors } = unpack("gptq-8", { quant_method: "gptq", bits: 8, group_size: 32 });
    expect(refusal(() => transposed(tensors.get("eight.weight")!))).toContain(
      "unsupported: a weight packed as gptq",
    );
  });
});
