import type { RawSource, TensorSource } from "../../../formats/container.js";
import { elementCount } from "../../../formats/dtype.js";
import { t } from "../../language/t.js";
import { byteScales, type Fp4Coding, fp4Decoder } from "./fp4.js";
import { type MlxFields, mlxFields, mlxScales, mlxSettings } from "./mlx.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts } from "./parts.js";
import { type ScaledCoding, scaled } from "./scaled.js";

// mx.quantize of MLX in its modes of small floats, whose scales are bytes and which have no biases.

interface Mode {
  readonly bits: number;
  readonly columns: number;
  readonly scales: "F8_E4M3" | "F8_E8M0";
}

const MODES: Readonly<Record<string, Mode>> = {
  mxfp4: { bits: 4, columns: 32, scales: "F8_E8M0" },
  nvfp4: { bits: 4, columns: 16, scales: "F8_E4M3" },
  mxfp8: { bits: 8, columns: 32, scales: "F8_E8M0" },
};

interface Located {
  readonly shape: readonly number[];
  readonly mode: Mode;
  readonly scales: TensorSource;
  readonly factor: TensorSource | undefined;
}

/** The largest number of E2M1 times that of E4M3: what a weight's largest number is divided by. */
const LARGEST = 6 * 448;

/** Of weights whose scales are bytes: 4 bits are twice as many columns in a word as 8. */
function bitsOf(name: string, raw: RawSource, parts: Parts): number | undefined {
  if (mlxScales(name, raw, parts) !== "bytes") return undefined;
  const scales = parts.raw(name.replace(/weight$/, "scales"))!;
  // words of 8 numbers for groups of 16 or 32, or of 4 for 32
  return raw.shape.at(-1) === scales.shape.at(-1)! * 8 ? 8 : 4;
}

function locate(parts: Parts, name: string, raw: RawSource, all: MlxFields): Located {
  const stem = name.replace(/\.weight$/, "");
  const said = mlxSettings(all, stem);
  if (said.mode === "affine") parts.fail(t`${name} has scales that are bytes, and is of the mode affine`);
  const mode = Object.hasOwn(MODES, said.mode) ? MODES[said.mode]! : undefined;
  if (mode === undefined || said.bits !== mode.bits || said.group_size !== mode.columns) {
    const what = t`${name} of MLX's mode ${said.mode}, ${said.bits} bits in groups of ${said.group_size}`;
    const known = Object.entries(MODES).map(
      ([each, { bits, columns }]) => t`${each} (${bits} bits in groups of ${columns})`,
    );
    return parts.unsupported(what, ["affine", ...known].join(", "));
  }
  const table = parts.raw(`${stem}.scales`)!;
  const shape = [...raw.shape.slice(0, -1), ((raw.shape.at(-1) ?? 0) * 32) / mode.bits];
  const expected = [...raw.shape.slice(0, -1), shape.at(-1)! / mode.columns];
  if (raw.shape.length < 2 || table.type !== "U8" || table.shape.join() !== expected.join()) {
    const of = t`${name} of ${raw.shape.join(" x ")} words in ${said.mode}`;
    return parts.fail(t`${stem}.scales of ${of}, is ${table.type} of ${table.shape.join(" x ")}`);
  }
  return {
    shape,
    mode,
    scales: byteScales(table, mode.scales),
    factor: largestOf(parts, stem, said.mode, shape),
  };
}

/** The largest number of the weight, or of each of stacked ones, where MLX keeps it: of nvfp4 alone. */
function largestOf(
  parts: Parts,
  stem: string,
  mode: string,
  shape: readonly number[],
): TensorSource | undefined {
  const name = `${stem}.global_scale`;
  const found = parts.take(name);
  if (found === undefined) return undefined;
  if (mode !== "nvfp4") return parts.unsupported(t`${name} of MLX's mode ${mode}`, t`those of nvfp4`);
  const matrices = elementCount(shape.slice(0, -2));
  const count = elementCount(found.shape);
  if (count !== 1 && count !== matrices) {
    return parts.fail(t`${name} of ${matrices} matrices is ${found.shape.join(" x ")}`);
  }
  return { ...found, shape: [1, count] };
}

export const mlxFp4: Packing<Fp4Coding, MlxFields> = {
  ...fp4Decoder,
  title: "MLX",
  methods: ["mlx"],
  fields: mlxFields,
  across: false,
  weightOf: (name, raw, parts) => (bitsOf(name, raw, parts) === 4 ? name : undefined),

  locate(parts, name, raw, all) {
    const { shape, mode, scales, factor } = locate(parts, name, raw, all);
    const type = mode.scales === "F8_E4M3" ? "NVFP4" : "MXFP4";
    const groupSize = mode.columns;
    return codedSource<Fp4Coding>(raw, shape, {
      kind: "fp4",
      type,
      scales,
      groupSize,
      ...(factor && { factor, over: LARGEST }),
    });
  },
};

const { untold: _, ...own } = scaled;

export const mlxFp8: Packing<ScaledCoding, MlxFields> = {
  ...own,
  title: "MLX",
  methods: ["mlx"],
  fields: mlxFields,
  weightOf: (name, raw, parts) => (bitsOf(name, raw, parts) === 8 ? name : undefined),

  locate(parts, name, raw, all) {
    const { shape, mode, scales } = locate(parts, name, raw, all);
    const scale = { source: scales, rows: 1, columns: mode.columns };
    return codedSource<ScaledCoding>(raw, shape, { kind: "scaled", type: "F8_E4M3", scale });
  },
};
