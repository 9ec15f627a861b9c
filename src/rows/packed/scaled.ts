import * as v from "valibot";
import type { Coding, RawSource, TensorSource } from "../../../formats/container.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import { wholeNumber } from "./config.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts } from "./parts.js";

/** Types of one byte that weights and their scales are stored in, as safetensors names them. */
export type SmallType = "F8_E4M3" | "F8_E5M2" | "I8" | "F8_E8M0";

/** Numbers of a byte, each block of `rows` × `columns` of them less its zero and times its scale. */
export interface ScaledCoding extends Coding {
  readonly kind: "scaled";
  readonly type: SmallType;
  readonly scale?: Scale;
  /** A number for each scale. */
  readonly zeros?: TensorSource;
}

interface Scale {
  readonly source: TensorSource;
  readonly rows: number;
  readonly columns: number;
  /** Of stacked matrices, the rows of each: no block is of two. */
  readonly each?: number;
}

const anything = v.optional(v.unknown());

/** Fields that change what a weight is have to be known, so others are refused. */
export const scaledFields = v.strictObject({
  weight_block_size: v.nullish(v.tuple([wholeNumber, wholeNumber])),
  /** Of experts: two numbers of E2M1 in a byte, or as all others. */
  expert_dtype: v.nullish(v.picklist(["fp8", "fp4"])),
  // what the tensors say themselves, what is left as it was, and how activations are rounded
  quant_method: anything,
  fmt: anything,
  scale_fmt: anything,
  dequantize: anything,
  is_checkpoint_fp8_serialized: anything,
  modules_to_not_convert: anything,
  modules_to_convert: anything,
  ignored_layers: anything,
  ignore: anything,
  exclude_modules: anything,
  activation_scheme: anything,
  activation_scale_ub: anything,
  kv_cache_scheme: anything,
  kv_cache_quant_method: anything,
});

export type ScaledFields = v.InferOutput<typeof scaledFields>;

/** What each byte stands for. */
export const SMALL_VALUES: Readonly<Record<SmallType, Float32Array>> = {
  // OCP 8-bit floating point (OFP8). E4M3 has no infinities and one NaN of each sign; E5M2 is a half without its low byte.
  F8_E4M3: Float32Array.from({ length: 256 }, (_, byte) =>
    (byte & 0x7f) === 0x7f ? Number.NaN : float8(byte, 3, 7),
  ),
  F8_E5M2: Float32Array.from({ length: 256 }, (_, byte) => {
    if ((byte & 0x7c) !== 0x7c) return float8(byte, 2, 15);
    if ((byte & 3) !== 0) return Number.NaN;
    return byte < 0x80 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }),
  I8: Float32Array.from({ length: 256 }, (_, byte) => (byte << 24) >> 24),
  F8_E8M0: Float32Array.from({ length: 256 }, (_, byte) => (byte === 255 ? Number.NaN : 2 ** (byte - 127))),
};

/** Columns of a group of MX. */
export const MX_COLUMNS = 32;

const WEIGHT_TYPES = /^(F8_E4M3|F8_E5M2|I8)$/;

/** Matrices, and those of experts that transformers 5 stacks. */
const WEIGHT_NAMES = /\.weight$|\.experts\.(gate_up|down)_proj$/;

/** 8-bit numbers with one scale in all, one a row, or one a block: q × scale, whatever `inv` in the name says. */
export const scaled: Packing<ScaledCoding, ScaledFields | undefined> = {
  kind: "scaled",
  title: "8-bit numbers with scales",
  methods: ["fp8", "fbgemm_fp8"],
  untold: true,
  fields: scaledFields,
  across: false,
  typeOf: ({ type }) => type,
  weightOf: (name, { type }) => (WEIGHT_TYPES.test(type) && WEIGHT_NAMES.test(name) ? name : undefined),

  locate(parts, name, raw, settings) {
    const [columns, rows, experts] = raw.shape.toReversed();
    if (rows === undefined || columns === undefined || raw.shape.length > 3) {
      const what = t`${name} is ${raw.type} of shape ${raw.shape.join(" x ")}`;
      return parts.unsupported(what, t`matrices`);
    }
    const names = scaleNames(name);
    const [found] = names.flatMap((each) => parts.take(each) ?? powersOf(parts.raw(each)) ?? []);
    const zero = `${name}_zero_point`;
    if (parts.raw(zero) !== undefined || parts.take(zero) !== undefined) {
      return parts.unsupported(t`${name} has zero points`, t`scales alone`);
    }
    const type = raw.type as SmallType;
    if (found === undefined) {
      if (settings !== undefined || type === "I8") {
        parts.fail(t`${name} is ${type} and has no ${names[0]} or ${names[1]}`);
      }
      return codedSource<ScaledCoding>(raw, raw.shape, { kind: "scaled", type });
    }
    const block = settings?.weight_block_size;
    const scale =
      experts === undefined
        ? scaleBlocks(parts, name, [rows, columns], found, block)
        : scalesOfEach(parts, name, [experts, rows, columns], found, block);
    return codedSource<ScaledCoding>(raw, raw.shape, { kind: "scaled", type, scale });
  },

  decode(reader, { type, scale, zeros }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const values = SMALL_VALUES[type];
    const rowOf = (row: number) => (scale === undefined ? 0 : scaleRowOf(scale, row));
    const scaleRow = rowOf(first);
    const scaleRows = rowOf(first + count - 1) + 1 - scaleRow;
    const scales = scale && reader.floats(scale.source, scaleRow, scaleRows);
    const offsets = zeros && reader.floats(zeros, scaleRow, scaleRows);
    const across = scale === undefined ? 0 : rowLength(scale.source);
    const n = count * columns;
    const stored = reader.bytes(source, first * columns, n);
    const x = reader.kernels.floats(dst, n);
    for (let r = 0; r < count; r++) {
      const before = (rowOf(first + r) - scaleRow) * across;
      for (let c = 0; c < columns; ) {
        const block = scale === undefined ? 0 : before + Math.floor(c / scale.columns);
        const factor = scales?.[block] ?? 1;
        const zero = offsets?.[block] ?? 0;
        const end = scale === undefined ? columns : Math.min(columns, c + scale.columns);
        for (; c < end; c++) x[r * columns + c] = (values[stored[r * columns + c]!]! - zero) * factor;
      }
    }
  },
};

/** The row of scales that a row of numbers has. */
function scaleRowOf({ rows, each }: Scale, row: number): number {
  if (each === undefined) return Math.floor(row / rows);
  return Math.floor(row / each) * Math.ceil(each / rows) + Math.floor((row % each) / rows);
}

/** Scales of stacked matrices: one of each, or one a block. */
function scalesOfEach(
  parts: Parts,
  name: string,
  [experts, rows, columns]: readonly [number, number, number],
  source: TensorSource,
  block: readonly [number, number] | null | undefined,
): Scale {
  const [count, down = 1, across = 1] = source.shape;
  if (source.shape.length > 3 || count !== experts) {
    return parts.fail(
      t`the scales of ${name}, ${experts} x ${rows} x ${columns}, are ${source.shape.join(" x ")}`,
    );
  }
  const one = scaleBlocks(parts, name, [rows, columns], { ...source, shape: [down, across] }, block);
  return { ...one, source: { ...source, shape: [experts * down, across] }, each: rows };
}

/** What the scales of a weight are called: by transformers and its kind, and by DeepSeek. */
export function scaleNames(weight: string): readonly string[] {
  return [`${weight}_scale_inv`, `${weight}_scale`, weight.replace(/\.weight$/, ".scale")];
}

/** Powers of two in a byte (OCP E8M0), which older files call U8. */
export function powersOf(raw: RawSource | undefined): TensorSource | undefined {
  if (raw?.type !== "U8" && raw?.type !== "F8_E8M0") return undefined;
  return codedSource<ScaledCoding>(raw, raw.shape, { kind: "scaled", type: "F8_E8M0" });
}

/** The places of scales that are one in all, one a row, or one a block (of 128 x 128 if nothing is said). */
export function scaleBlocks(
  parts: Parts,
  name: string,
  [rows, columns]: readonly [number, number],
  source: TensorSource,
  block: readonly [number, number] | null | undefined,
): Scale {
  const across = source.shape.length === 2 ? source.shape[1]! : 1;
  const down = source.shape.length === 0 ? 1 : source.shape[0]!;
  const matrix = { ...source, shape: [down, across] };
  if (source.shape.length <= 2) {
    if (down === 1 && across === 1) return { source: matrix, rows, columns };
    if (down === rows && across === 1) return { source: matrix, rows: 1, columns };
    const [blockRows, blockColumns] = block ?? [128, 128];
    if (down === Math.ceil(rows / blockRows) && across === Math.ceil(columns / blockColumns)) {
      return { source: matrix, rows: blockRows, columns: blockColumns };
    }
    // of a grid that is finer than is said, MX's
    if (down === rows && columns === across * MX_COLUMNS)
      return { source: matrix, rows: 1, columns: MX_COLUMNS };
  }
  return parts.fail(t`the scales of ${name}, ${rows} x ${columns}, are ${source.shape.join(" x ")}`);
}

function float8(byte: number, mantissaBits: number, bias: number): number {
  const mantissa = byte & (2 ** mantissaBits - 1);
  const exponent = (byte & 0x7f) >> mantissaBits;
  const fraction = exponent === 0 ? mantissa : mantissa + 2 ** mantissaBits;
  const magnitude = fraction * 2 ** (Math.max(exponent, 1) - bias - mantissaBits);
  return byte < 0x80 ? magnitude : -magnitude;
}
