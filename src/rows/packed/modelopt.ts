import * as v from "valibot";
import type { TensorSource } from "../../../formats/container.js";
import { t } from "../../language/t.js";
import { wholeNumber } from "./config.js";
import { byteScales, type Fp4Coding, fp4Decoder } from "./fp4.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts } from "./parts.js";
import { MX_COLUMNS, powersOf, type ScaledCoding, scaleBlocks, scaled } from "./scaled.js";

const anything = v.optional(v.unknown());

const sized = v.nullish(v.looseObject({ group_size: v.nullish(wholeNumber) }));

/** Fields that change what a weight is have to be known, so others are refused. */
const fields = v.strictObject({
  quant_method: anything,
  quant_algo: v.nullish(v.string()),
  // 0 is said where there are no groups
  group_size: v.nullish(v.union([v.literal(0), wholeNumber])),
  quantized_layers: v.nullish(v.record(v.string(), v.looseObject({ quant_algo: v.nullish(v.string()) }))),
  config_groups: v.optional(v.record(v.string(), v.looseObject({ weights: sized }))),
  // what is not quantized, and who did it
  ignore: anything,
  exclude_modules: anything,
  producer: anything,
  version: anything,
  // of what is computed, which is no part of the weights
  kv_cache_scheme: anything,
  kv_cache_quant_algo: anything,
  // what tensors beside the weights say themselves
  has_zero_point: v.nullish(v.literal(false)),
  pre_quant_scale: anything,
});

type Settings = v.InferOutput<typeof fields>;

/** Whose weights are what the tensors say. */
const ALGORITHMS =
  /^(NVFP4|NVFP4_AWQ|W4A16_NVFP4|W4A8_NVFP4_FP8|MXFP4|W4A8_MXFP4_FP8|MXFP8|FP8|FP8_PER_CHANNEL_PER_TOKEN|FP8_PB_WO|FP8_PB_REAL|W8A16|W8A8_SQ_PER_CHANNEL|MIXED_PRECISION)$/i;

/** NVIDIA's Model Optimizer: bytes with two numbers of E2M1, scales of E4M3 and one in all, or of E8M0. */
export const modeloptFp4: Packing<Fp4Coding, Settings> = {
  ...fp4Decoder,
  title: "ModelOpt",
  methods: ["modelopt", "modelopt_fp4", "modelopt_mixed"],
  fields,
  across: false,
  weightOf: (name, { type }) => (type === "U8" && name.endsWith(".weight") ? name : undefined),

  locate(parts, name, raw, settings) {
    const algorithm = check(parts, name, settings);
    const [rows, bytes] = raw.shape;
    if (!rows || !bytes || raw.shape.length > 2) {
      return parts.unsupported(t`${name} is U8 of shape ${raw.shape.join(" x ")}`, t`matrices`);
    }
    const stored = parts.raw(`${name}_scale`);
    const powers = powersOf(stored);
    if (powers === undefined && stored?.type !== "F8_E4M3") {
      const what = parts.peek(`${name}_scale`)?.dtype ?? t`missing`;
      return parts.unsupported(t`${name} is U8, and its weight_scale ${what}`, t`scales of F8_E4M3 and U8`);
    }
    const scales = powers ?? byteScales(stored!, "F8_E4M3");
    const columns = bytes * 2;
    const groups = stored!.shape.at(-1)!;
    const groupSize = columns / groups;
    const said = sizesOf(settings);
    const fits = groupSize % 2 === 0 && (said.size === 0 || said.has(groupSize));
    if (!fits || stored!.shape.join() !== [rows, groups].join()) {
      return parts.fail(
        t`${name}_scale is ${stored!.shape.join(" x ")} for ${rows} x ${columns} in groups of ${[...said].join(" or ") || t`any size`}`,
      );
    }
    const factor = parts.take(`${name}_scale_2`);
    if ((factor === undefined) !== (powers !== undefined)) {
      return parts.fail(
        factor
          ? t`${name} has scales of ${stored!.type}, and a weight_scale_2`
          : t`${name} has scales of ${stored!.type}, and no weight_scale_2`,
      );
    }
    return codedSource<Fp4Coding>(raw, [rows, columns], {
      kind: "fp4",
      type: powers === undefined ? "NVFP4" : "MXFP4",
      scales,
      groupSize,
      factor: factor && single(parts, `${name}_scale_2`, factor),
      inputs: parts.carry(name.replace(/weight$/, "input_scale")),
      ...(algorithm === "W4A16_NVFP4" && { wideInputs: true }),
    });
  },
};

const { untold: _, ...own } = scaled;

/** Its 8 bits: scales in all, by row, by block, or of E8M0 by group. */
export const modeloptScaled: Packing<ScaledCoding, Settings> = {
  ...own,
  title: "ModelOpt",
  methods: modeloptFp4.methods,
  fields,

  locate(parts, name, raw, settings) {
    check(parts, name, settings);
    const [rows, columns] = raw.shape;
    if (!rows || !columns || raw.shape.length > 2) {
      return parts.unsupported(t`${name} is ${raw.type} of shape ${raw.shape.join(" x ")}`, t`matrices`);
    }
    const type = raw.type as ScaledCoding["type"];
    const scale = scaleOf(parts, name, rows, columns);
    return codedSource<ScaledCoding>(raw, raw.shape, { kind: "scaled", type, scale });
  },
};

function scaleOf(
  parts: Parts,
  weight: string,
  rows: number,
  columns: number,
): NonNullable<ScaledCoding["scale"]> {
  const name = `${weight}_scale`;
  const powers = powersOf(parts.raw(name));
  if (powers !== undefined) {
    const shape = [rows, Math.ceil(columns / MX_COLUMNS)];
    if (powers.shape.join() === shape.join()) return { source: powers, rows: 1, columns: MX_COLUMNS };
    return parts.fail(t`${name} of ${rows} x ${columns} weights is ${powers.shape.join(" x ")}`);
  }
  const scale = parts.take(name);
  if (scale === undefined) return parts.fail(t`${name} is missing, or of another type`);
  const [down = 0, one, across = 0, other] = scale.shape;
  // scales of blocks keep the rows and the columns of a block, as 1
  const isOfBlocks = scale.shape.length === 4 && one === 1 && other === 1;
  const matrix = isOfBlocks ? { ...scale, shape: [down, across] } : scale;
  return scaleBlocks(parts, weight, [rows, columns], matrix, undefined);
}

function single(parts: Parts, name: string, source: TensorSource): TensorSource {
  if (source.shape.some((length) => length !== 1)) {
    return parts.fail(t`${name} is ${source.shape.join(" x ")}; one number was expected`);
  }
  return { ...source, shape: [1, 1] };
}

/** The algorithm of a weight. @throws LlqError `unsupported` for what weights alone cannot say */
function check(
  parts: Parts,
  name: string,
  { quant_algo, quantized_layers }: Settings,
): string | null | undefined {
  const layers = Object.values(quantized_layers ?? {}).map((layer) => layer.quant_algo);
  const other = [quant_algo, ...layers].find((each) => each != null && !ALGORITHMS.test(each));
  if (other !== undefined)
    parts.unsupported(t`weights quantized by ModelOpt's ${other}`, t`NVFP4, FP8 and MX`);
  const module = name.replace(/\.weight$/, "");
  for (const suffix of ["pre_quant_scale", "svdquant_lora_a", "weight_zero_point"]) {
    if (!parts.has(`${module}.${suffix}`)) continue;
    parts.unsupported(
      t`${module}.${suffix}, which changes what ${name} is`,
      t`weights and their scales alone`,
    );
  }
  for (let part = module; part !== ""; part = part.slice(0, Math.max(0, part.lastIndexOf(".")))) {
    const layer = quantized_layers?.[part];
    if (layer !== undefined) return layer.quant_algo;
  }
  return quant_algo;
}

/** Columns of a scale, as far as it is said. */
function sizesOf({ group_size, config_groups, quantized_layers }: Settings): Set<number> {
  const groups = Object.values(config_groups ?? {}).map(({ weights }) => weights?.group_size);
  const layers = Object.values(quantized_layers ?? {}).map((layer) => layer["group_size"]);
  const sizes = [group_size, ...groups, ...layers];
  return new Set(sizes.filter((size): size is number => typeof size === "number" && size > 0));
}
