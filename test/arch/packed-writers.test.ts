import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Container } from "../../formats/container.js";
import { findDType } from "../../formats/dtype.js";
import { openContainer } from "../../formats/open.js";
import type { PackQuantizedCoding } from "../../src/rows/packed/compressed-tensors/pack-quantized.js";
import { storedType, unpackWeights } from "../../src/rows/packed/index.js";
import { refusal } from "../support/build/build.js";
import { decoded, digestOf } from "../support/packed/packed.js";

interface Golden {
  readonly quantization_config: Record<string, unknown>;
  readonly weights: Record<string, { shape: number[]; sha256: string }>;
}

const at = (name: string) => `test/golden/containers/packed-${name}`;
const golden = (name: string): Golden => JSON.parse(readFileSync(`${at(name)}.json`, "utf8"));

const FILES = [
  "ct-0.17.1",
  "ct-0.18.0",
  "ct-0.20.0",
  "auto-round-gptq",
  "auto-round-plain",
  "auto-round-awq",
];

describe.each(FILES)("%s", (file) => {
  const { quantization_config, weights } = golden(file);
  const open = (config: object) =>
    unpackWeights(openContainer(`${at(file)}.safetensors`), "config.json", { quantization_config: config });

  test.each(Object.entries(weights).filter(([name]) => name !== "four_odd"))(
    "%s",
    (name, { shape, sha256 }) => {
      const container = open(quantization_config);
      const source = container.tensors.get(`${name}.weight`)!;
      expect(source.shape).toEqual(shape);
      // a type of GGUF's would be taken for what is there already
      expect(findDType(storedType({ dtype: source.dtype, sources: [source] }))).toBeUndefined();
      for (const step of [1, 3, 7, 1000])
        expect(digestOf(decoded(container, source, step)), `${step}`).toBe(sha256);
      expect([...container.tensors.keys()].filter((each) => !each.endsWith(".weight"))).toEqual([]);
    },
  );
});

describe("refusals of compressed-tensors", () => {
  const { quantization_config: config } = golden("ct-0.20.0");
  const open = (change: (config: Config) => void, file = "ct-0.20.0") => {
    const changed = structuredClone(
      file === "ct-0.20.0" ? config : golden(file).quantization_config,
    ) as Config;
    change(changed);
    const container = openContainer(`${at(file)}.safetensors`);
    return () => unpackWeights(container, "config.json", { quantization_config: changed });
  };
  interface Config {
    config_groups: Record<string, { targets: string[]; weights: Record<string, unknown> }>;
    [field: string]: unknown;
  }

  // biome-ignore format: rows
  const bad: [string, (config: Config) => void, string][] = [
    ["a field nobody here knows",     (c) => { c["codebook"] = 1; },                                        "unsupported: config.json: quantization_config has codebook, which may change weights"],
    ["one of a group's weights",      (c) => { c.config_groups["group_0"]!.weights["rotation"] = "R1"; },   "unsupported: config.json: quantization_config has config_groups.group_0.weights.rotation"],
    ["weights with holes",            (c) => { c["sparsity_config"] = { format: "sparse-24-bitmask" }; },   "weights compressed as sparse-24-bitmask"],
    ["Marlin's tiles",                (c) => { c["format"] = "marlin-24"; },                                "weights compressed as marlin-24"],
    ["bits of another module",        (c) => { c.config_groups["group_0"]!.weights["num_bits"] = 3; },      "bits2 is packed and has no config_group of its shapes"],
    ["groups of another size",        (c) => { c.config_groups["group_0"]!.weights["group_size"] = 16; },   "bits2 is packed and has no config_group of its shapes"],
    ["zeros that are not to be",      (c) => { c.config_groups["group_0"]!.weights["symmetric"] = true; },  "bits2 is packed and has no config_group of its shapes"],
    ["a scale for each token",        (c) => { c.config_groups["group_0"]!.weights["strategy"] = "token"; }, "weights scaled by token"],
    ["an expression that is none",    (c) => { c.config_groups["group_0"]!.targets = ["re:("]; },           "targets \"re:(\""],
    ["one that takes too long",       (c) => { c.config_groups["group_0"]!.targets = ["re:(a+)+$"]; },           "targets \"re:(a+)+$\""],
    ["bits that are text",            (c) => { c.config_groups["group_0"]!.weights["num_bits"] = "2"; },    "bad-input: config.json: quantization_config: config_groups.group_0.weights.num_bits"],
  ];
  test.each(bad)("%s", (_, change, expected) => {
    expect(refusal(open(change))).toContain(expected);
  });

  test("4-bit floats whose scales are of the other kind", () => {
    const container = openContainer(`${at("ct-0.20.0")}.safetensors`);
    const without = new Map([...container.tensors].filter(([name]) => name !== "nvfp4.weight_global_scale"));
    const json = { quantization_config: config };
    expect(refusal(() => unpackWeights({ ...container, tensors: without }, "c", json))).toContain(
      "nvfp4 has scales of NVFP4, and no weight_global_scale",
    );
    const raw = new Map(container.raw).set(
      "nvfp4.weight_zero_point",
      container.raw!.get("nvfp4.weight_scale")!,
    );
    expect(refusal(() => unpackWeights({ ...container, raw }, "c", json))).toContain(
      "nvfp4.weight_zero_point of 4-bit floats",
    );
  });

  test("several groups that a module can be of", () => {
    const all = (c: Config) => {
      for (const each of Object.values(c.config_groups)) each.targets = ["Linear"];
    };
    // eight columns of 4 bits or four of 8 in a word, and one scale a row
    expect(refusal(open(all))).toMatch(/is packed and has several config_groups of its shapes$/);
    const named = (c: Config) => {
      for (const each of Object.values(c.config_groups))
        each.targets = [`re:${each.targets[0]!.slice(0, -1)}.$`];
    };
    expect(refusal(open(named))).toBe("accepted");
  });

  test("columns that do not fill their last word", () => {
    const container = open(() => {})();
    const source = container.tensors.get("four_odd.weight")!;
    expect(refusal(() => decoded(container, source, 4))).toBe(
      "bad-input: tensor t: weight_shape says 20 x 90; 20 x 96 numbers are packed",
    );
  });

  test("where the width of words says nothing of how they are filled, the version does", () => {
    const place = { file: 0, offset: 0, byteLength: 0 };
    const raw = {
      "x.weight_packed": { ...place, type: "I32", shape: [4, 2] },
      "x.weight_shape": { ...place, type: "I64", shape: [2] },
    };
    const scale = { ...place, dtype: "F32", shape: [4, 1] } as const;
    const layoutOf = (version?: string) => {
      const weights = { num_bits: 3, group_size: 16 };
      const container: Container = {
        format: "safetensors",
        files: ["x"],
        tensors: new Map([["x.weight_scale", scale]]),
        opaque: new Map(),
        raw: new Map(Object.entries(raw)),
        metadata: new Map(),
      };
      const json = {
        quant_method: "compressed-tensors",
        version,
        config_groups: { a: { targets: ["Linear"], weights } },
      };
      const unpacked = unpackWeights(container, "config.json", { quantization_config: json });
      return (unpacked.tensors.get("x.weight")!.coded as PackQuantizedCoding).layout;
    };
    expect(layoutOf("0.17.1")).toEqual({ bits: 3, perWord: 10 });
    expect(layoutOf("0.18.0")).toEqual({ bits: 3 });
    expect(layoutOf("1.2.0")).toEqual({ bits: 3 });
    expect(refusal(() => layoutOf())).toBe("unsupported: x: x is packed by an unknown version");
  });
});

describe("refusals of AutoRound", () => {
  const { quantization_config: config } = golden("auto-round-gptq");
  // biome-ignore format: rows
  const bad: [string, object, string][] = [
    ["another layout",               { packing_format: "auto_round:mlx" },     "unsupported: x: AutoRound's packing_format auto_round:mlx"],
    ["a layout it does not say",     { packing_format: null },                 "unsupported: x: AutoRound's packing_format unnamed"],
    ["small floats",                 { data_type: "mx_fp" },                   "unsupported: x: AutoRound with numbers of the type mx_fp"],
    ["columns that are rotated",     { rotation_config: { block_size: 32 } },  "unsupported: x: weights quantized with rotation_config"],
    ["scales of scales",             { super_bits: 6 },                        "unsupported: x: weights quantized with super_bits"],
    ["bits that no module has",      { extra_config: {} },                     "is of 8 bits, and no module is said to be"],
    ["groups that no module has",    { group_size: 16, extra_config: { a: { bits: 2 }, b: { bits: 3 }, c: { bits: 6 }, d: { bits: 8 } } }, "groups of 96 columns, of no known size"],
    ["groups that several have",     { extra_config: { a: { bits: 2 }, b: { bits: 3 }, c: { bits: 6 }, d: { bits: 8 }, e: { group_size: 33 } } }, "groups of 96 columns, of several sizes"],
  ];
  test.each(bad)("%s", (_, change, expected) => {
    const container = openContainer(`${at("auto-round-gptq")}.safetensors`);
    const quantization = { ...config, ...change };
    const said = refusal(() =>
      unpackWeights({ ...container, files: ["x"] }, "c", { quantization_config: quantization }),
    );
    expect(said).toContain(expected);
  });
});

test("GPTQ's second format is what AutoRound writes for GPTQModel", () => {
  const file = "auto-round-plain";
  const container = openContainer(`${at(file)}.safetensors`);
  const only = <T>(map: ReadonlyMap<string, T>) =>
    new Map([...map].filter(([name]) => name.startsWith("four")));
  const parts = { tensors: only(container.tensors), raw: only(container.raw!) };
  const settings = { quant_method: "gptq", bits: 4, group_size: 32, checkpoint_format: "gptq_v2" };
  const unpacked = unpackWeights({ ...container, ...parts }, "c", { quantization_config: settings });
  const values = decoded(unpacked, unpacked.tensors.get("four.weight")!, 5);
  expect(digestOf(values)).toBe(golden(file).weights["four"]!.sha256);
});
