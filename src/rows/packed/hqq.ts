import * as v from "valibot";
import { decodeLatin1 } from "#host/bytes";
import type { Coding, TensorSource } from "../../../formats/container.js";
import { elementCount } from "../../../formats/dtype.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts } from "./parts.js";
import type { Reader } from "./reader.js";

/**
 * All codes of a weight cut into as many runs as a stored number holds, the first in its highest bits. Element i of the
 * weight has the scale i / groupSize, or with groups across (axis 0) i modulo their number; w = (q - zero) × scale, each
 * step in f32.
 */
export interface HqqCoding extends Coding {
  readonly kind: "hqq";
  readonly packing: keyof typeof PACKINGS;
  /** A column, and so are the zeros. */
  readonly scales: TensorSource;
  readonly zeros: TensorSource;
  readonly groupSize: number;
  readonly axis: number;
}

/** Bits of a code, codes in a stored number, its bytes. */
const PACKINGS = {
  "8bit_u8": { bits: 8, codes: 1, unit: 1 },
  "4bit_u8": { bits: 4, codes: 2, unit: 1 },
  "3bit_32": { bits: 3, codes: 10, unit: 4 },
  "2bit_u8": { bits: 2, codes: 4, unit: 1 },
  "1bit_u8": { bits: 1, codes: 8, unit: 1 },
} as const;

/** What a layer has when its scales or zeros are quantized in turn. */
const NESTED = ["quant_scale", "quant_zero"];

/** HQQLinear of hqq: each field of its meta is a tensor of its own. */
export const hqq: Packing<HqqCoding> = {
  kind: "hqq",
  title: "HQQ",
  methods: ["hqq"],
  untold: true,
  fields: v.unknown(),
  across: false,
  typeOf: ({ packing }) => `HQQ-${PACKINGS[packing].bits}`,
  weightOf: (name, { type }) =>
    type === "U8" && name.endsWith(".packing") ? name.replace(/packing$/, "weight") : undefined,

  locate(parts, name, raw) {
    const stem = name.replace(/\.packing$/, "");
    const packing = decodeLatin1(parts.bytes(name, raw));
    if (!isPacking(packing)) {
      return parts.unsupported(t`${stem} of HQQ's packing ${packing}`, Object.keys(PACKINGS).join(", "));
    }
    for (const each of NESTED) {
      if (parts.has(`${stem}.${each}`) && integers(parts, `${stem}.${each}`)[0] !== 0) {
        return parts.unsupported(t`${stem} with ${each}`, t`scales and zeros that are floats`);
      }
    }
    const shape = integers(parts, `${stem}.shape`);
    const [groupSize = 0] = integers(parts, `${stem}.group_size`);
    const [axis = -1] = integers(parts, `${stem}.axis`);
    if (axis !== 0 && axis !== 1)
      return parts.unsupported(t`${stem} with groups of axis ${axis}`, t`0 and 1`);
    if (shape.length === 0 || shape.some((length) => length < 1)) {
      return parts.fail(t`${stem}.shape is ${shape.join(" x ")}`);
    }
    const count = elementCount(shape);
    const groups = count / groupSize;
    if (groupSize < 1 || !Number.isInteger(groups)) {
      return parts.fail(t`${stem} of ${shape.join(" x ")} is no whole number of groups of ${groupSize}`);
    }
    // bytes, or floats that stand for as many (view_as_float)
    const stored = parts.take(`${stem}.W_q`) ?? parts.raw(`${stem}.W_q`);
    const { codes, unit } = PACKINGS[packing];
    const room = ((stored?.byteLength ?? 0) / unit) * codes;
    // 3 bits fill up to ten runs of whole groups
    if (stored === undefined || room < count || (unit === 1 && room > count) || !Number.isInteger(room)) {
      return parts.fail(t`${stem}.W_q has room for ${room} numbers of ${count}`);
    }
    parts.take(`${stem}.nbits`); // a float where it is 1.58; packed as 2
    const column = (part: string) => ({ ...parts.floats(`${stem}.${part}`, groups), shape: [groups, 1] });
    const [scales, zeros] = [column("scale"), column("zero")];
    return codedSource<HqqCoding>(stored, shape, { kind: "hqq", packing, scales, zeros, groupSize, axis });
  },

  decode(reader, { packing, scales, zeros, groupSize, axis }, { source, first, count, dst }) {
    const { bits, codes, unit } = PACKINGS[packing];
    const columns = rowLength(source);
    const [start, n] = [first * columns, count * columns];
    const size = axis === 1 ? groupSize : 1;
    const firstGroup = Math.floor(start / size);
    const groups = Math.floor((start + n - 1) / size) + 1 - firstGroup;
    const scale = around(reader, scales, firstGroup, groups);
    const zero = around(reader, zeros, firstGroup, groups);
    const run = source.byteLength / unit;
    const mask = 2 ** bits - 1;
    for (let i = 0; i < n; ) {
      const section = Math.floor((start + i) / run);
      const from = start + i - section * run;
      const some = Math.min(n - i, run - from);
      const bytes = reader.bytes(source, from * unit, some * unit);
      const stored = unit === 1 ? bytes : new Uint32Array(bytes.slice().buffer);
      const shift = (codes - 1 - section) * bits;
      const x = reader.kernels.floats(dst, n);
      for (let k = 0; k < some; k++, i++) {
        const g = Math.floor((start + i) / size) - firstGroup;
        x[i] = Math.fround(((stored[k]! >>> shift) & mask) - zero[g]!) * scale[g]!;
      }
    }
  },
};

/** Numbers of a column from `first` on, which begins again where it ends. */
function around(reader: Reader, column: TensorSource, first: number, count: number): Float32Array {
  const length = column.shape[0]!;
  const at = first % length;
  if (at + count <= length) return reader.floats(column, at, count);
  const whole = reader.floats(column, 0, length);
  return Float32Array.from({ length: count }, (_, i) => whole[(at + i) % length]!);
}

function isPacking(text: string): text is keyof typeof PACKINGS {
  return Object.hasOwn(PACKINGS, text);
}

/** What a small tensor of whole numbers holds. */
function integers(parts: Parts, name: string): number[] {
  const raw = parts.raw(name);
  if (raw === undefined) return parts.fail(t`${name} is missing`);
  const bytes = parts.bytes(name, raw);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (raw.type) {
    case "U8":
      return [...bytes];
    case "I32":
      return Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(i * 4, true));
    case "I64":
      return Array.from({ length: bytes.length / 8 }, (_, i) => Number(view.getBigInt64(i * 8, true)));
    default:
      return parts.fail(t`${name} is ${raw.type}, not a whole number`);
  }
}
