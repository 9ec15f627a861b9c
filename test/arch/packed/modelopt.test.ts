import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { withQuantConfig } from "../../../src/rows/packed/beside.js";
import { storedType, unpackWeights } from "../../../src/rows/packed/index.js";
import { refusal } from "../../support/build/build.js";
import { attack } from "../../support/damage.js";
import { scratchFolder } from "../../support/scratch.js";
import { altered, packedTarget, prefixed, rowsOf, sha256 } from "./unpacked.js";

interface Golden {
  readonly quantization_config: Record<string, unknown>;
  readonly hf_quant_config: { quantization: Record<string, unknown> };
  readonly shape: number[];
  readonly sha256: string;
}

const FILE = "test/golden/containers/packed-modelopt.safetensors";
const golden: Record<string, Golden> = JSON.parse(readFileSync(FILE.replace("safetensors", "json"), "utf8"));
const NAME = "mlp.down_proj.weight";
const folder = scratchFolder();

const open = (format: string, config: object, file = FILE) =>
  unpackWeights(prefixed(openContainer(file), `${format}:`), "config.json", config);
const said = (format: string, change: object = {}) => ({
  quantization_config: { ...golden[format]!.quantization_config, ...change },
});

test.each(Object.keys(golden).filter((name) => name !== "smooth"))(
  "%s is what ModelOpt dequantizes",
  (format) => {
    const { hf_quant_config, shape, sha256: hash } = golden[format]!;
    const file = join(folder, "hf_quant_config.json");
    writeFileSync(file, JSON.stringify(hf_quant_config));
    const beside = withQuantConfig(folder, { model_type: "llama" }) as object;
    expect(withQuantConfig(folder, said(format))).toEqual(said(format));
    for (const config of [said(format), beside]) {
      const container = open(format, config);
      const source = container.tensors.get(NAME)!;
      expect(source.shape).toEqual(shape);
      // its own classes have a table in which -0 of E2M1 is 0
      for (const step of [1, 5, 1000])
        expect(sha256(rowsOf(container, source, step).map((x) => x + 0)), `${step}`).toBe(hash);
      expect([...container.tensors.keys()]).toEqual([NAME]);
      expect(storedType({ dtype: "F32", sources: [source] })).not.toBe("F32");
    }
  },
);

test("what is said of scales of activations, keys and values", () => {
  expect(open("nvfp4", said("nvfp4")).remarks).toEqual([
    "config.json: 2 scales of activations, keys and values (k_scale, v_scale) are left out: weights alone are rounded here",
  ]);
  expect(open("w4a16", said("w4a16")).remarks).toEqual([]);
});

test("a file beside config.json that says nothing of weights, or is none", () => {
  const file = join(folder, "hf_quant_config.json");
  writeFileSync(file, JSON.stringify({ quantization: { quant_algo: null, kv_cache_quant_algo: "FP8" } }));
  expect(withQuantConfig(folder, { a: 1 })).toEqual({ a: 1 });
  writeFileSync(file, "[]");
  expect(refusal(() => withQuantConfig(folder, {}))).toBe(`bad-input: ${file}: no object named quantization`);
});

// biome-ignore format: rows
const bad: [string, format: string, object, string][] = [
  ["what activations are multiplied by", "smooth", {},                       "unsupported: x: mlp.down_proj.pre_quant_scale, which changes what mlp.down_proj.weight is"],
  ["another algorithm",    "nvfp4", { quant_algo: "W4A16_AWQ" },              "unsupported: x: weights quantized by ModelOpt's W4A16_AWQ"],
  ["one of a layer's",     "nvfp4", { quant_algo: "MIXED_PRECISION", quantized_layers: { a: { quant_algo: "NVFP4_SVD" } } }, "ModelOpt's NVFP4_SVD"],
  ["a field nobody knows", "nvfp4", { rotation: "hadamard" },                 "unsupported: config.json: quantization_config has rotation"],
  ["zeros",                "int8",  { has_zero_point: true },                 "bad-input: config.json: quantization_config: has_zero_point"],
  ["groups of another size", "w4a8", { group_size: 16 },                      "mlp.down_proj.weight_scale is 32 x 6 for 32 x 192 in groups of 16"],
];
test.each(bad)("%s: refused", (_, format, change, expected) => {
  const container = prefixed(openContainer(FILE), `${format}:`);
  const config = said(format, change);
  expect(refusal(() => unpackWeights({ ...container, files: ["x"] }, "config.json", config))).toContain(
    expected,
  );
});

// biome-ignore format: rows
const broken: [string, format: string, from: string, to: string, string][] = [
  ["no scale in all",       "nvfp4", '"nvfp4:mlp.down_proj.weight_scale_2"', '"nvfp4:mlp.down_proj.weight_scale_3"', "has scales of F8_E4M3, and no weight_scale_2"],
  ["no scales",             "nvfp4", '"nvfp4:mlp.down_proj.weight_scale"',   '"nvfp4:mlp.down_proj.weight_scala"',   "is U8, and its weight_scale missing"],
  ["no scales of 8 bits",   "fp8",   '"fp8:mlp.down_proj.weight_scale"',     '"fp8:mlp.down_proj.weight_scala"',     "mlp.down_proj.weight_scale is missing"],
  ["scales of other rows",  "mxfp8", '"mxfp8:mlp.down_proj.weight_scale":{"dtype":"U8","shape":[32,6]', '"mxfp8:mlp.down_proj.weight_scale":{"dtype":"U8","shape":[6,32]',                      "weight_scale of 32 x 192 weights is 6 x 32"],
];
test.each(broken)("%s: refused", (_, format, from, to, expected) => {
  const path = join(folder, "bad.safetensors");
  writeFileSync(path, altered("modelopt", from, to));
  expect(refusal(() => open(format, said(format), path))).toContain(expected);
});

test.each(["nvfp4", "w4a8", "mxfp4", "mxfp8", "blocks"])(
  "damage to %s never gets through as anything but a refusal",
  (format) => {
    const target = packedTarget("modelopt", folder, said(format), `${format}:`);
    const { accepted, refused } = attack(target, 200, 1);
    expect(Math.min(accepted, refused)).toBeGreaterThan(0);
  },
);
