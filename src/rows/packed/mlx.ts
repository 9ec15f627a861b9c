import * as v from "valibot";
import type { Coding, RawSource, TensorSource } from "../../../formats/container.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import { wholeNumber } from "./config.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts } from "./parts.js";

/** Codes of `bits` one after another in a row, low bits first; w = q × scale + bias of the group, each step in f32. */
export interface AffineCoding extends Coding {
  readonly kind: "mlx";
  readonly bits: number;
  /** [rows, groups], and so are the biases. */
  readonly scales: TensorSource;
  readonly biases: TensorSource;
}

/** What is said of all modules, or of one. */
const settings = { bits: wholeNumber, group_size: wholeNumber, mode: v.optional(v.string(), "affine") };

interface Settings {
  readonly bits: number;
  readonly group_size: number;
  readonly mode: string;
}

const anything = v.optional(v.unknown());

/** For all modules, and for those that differ, by name; false has nothing packed. The tensors tell where a global scale is. */
export const mlxFields = v.objectWithRest(
  settings,
  v.union([v.boolean(), v.strictObject({ ...settings, global_scale: anything })]),
);

export type MlxFields = v.InferOutput<typeof mlxFields>;

const BITS = [1, 2, 3, 4, 5, 6, 8];

/** mx.quantize of MLX, in its first mode. */
export const mlx: Packing<AffineCoding, MlxFields> = {
  kind: "mlx",
  title: "MLX",
  methods: ["mlx"],
  fields: mlxFields,
  across: false,
  typeOf: ({ bits }) => `MLX-${bits}`,
  weightOf: (name, raw, parts) => (mlxScales(name, raw, parts) === "floats" ? name : undefined),

  locate(parts, name, raw, all) {
    const stem = name.replace(/\.weight$/, "");
    const { bits, group_size, mode } = mlxSettings(all, stem);
    if (mode !== "affine")
      return parts.fail(t`${name} has scales that are floats, and is of the mode ${mode}`);
    if (!BITS.includes(bits)) return parts.unsupported(t`${name} of ${bits} bits`, BITS.join(", "));
    const columns = ((raw.shape.at(-1) ?? 0) * 32) / bits;
    const shape = [...raw.shape.slice(0, -1), columns];
    const tables = ["scales", "biases"].map((part) => {
      const table = parts.take(`${stem}.${part}`);
      if (table === undefined) return parts.fail(t`${stem}.${part} is missing`);
      const expected = [...raw.shape.slice(0, -1), columns / group_size];
      if (raw.shape.length > 1 && table.shape.join() === expected.join()) return table;
      const of = t`${name} of ${raw.shape.join(" x ")} words, ${bits} bits in groups of ${group_size}`;
      return parts.fail(t`${stem}.${part} of ${of}, is ${table.shape.join(" x ")}`);
    });
    const [scales, biases] = tables as [TensorSource, TensorSource];
    return codedSource<AffineCoding>(raw, shape, { kind: "mlx", bits, scales, biases });
  },

  decode(reader, { bits, scales, biases }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const groups = rowLength(scales);
    const size = columns / groups;
    const mask = 2 ** bits - 1;
    const scale = reader.floats(scales, first, count);
    const bias = reader.floats(biases, first, count);
    const pitch = (columns * bits) / 8;
    const bytes = reader.bytes(source, first * pitch, count * pitch);
    const x = reader.kernels.floats(dst, count * columns);
    let [at, waiting, held] = [0, 0, 0]; // bits that are read, and how many
    for (let g = 0, i = 0; g < count * groups; g++) {
      const [factor, offset] = [scale[g]!, bias[g]!];
      for (const end = i + size; i < end; i++) {
        if (held < bits) {
          waiting |= bytes[at++]! << held;
          held += 8;
        }
        x[i] = Math.fround((waiting & mask) * factor) + offset;
        waiting >>>= bits;
        held -= bits;
      }
    }
  },
};

/** What the scales of a weight that MLX packed are; undefined for other tensors. */
export function mlxScales(
  name: string,
  { type }: Pick<RawSource, "type">,
  parts: Parts,
): "floats" | "bytes" | undefined {
  if (type !== "U32" || !name.endsWith(".weight")) return undefined;
  return parts.raw(name.replace(/weight$/, "scales")) === undefined ? "floats" : "bytes";
}

/** What is said of a module, whose name may have lost what it was wrapped in. */
export function mlxSettings(all: MlxFields, stem: string): Settings {
  const key = Object.keys(all).find((each) => each === stem || each.endsWith(`.${stem}`));
  const said = key === undefined ? undefined : all[key];
  return typeof said === "object" ? said : all;
}
