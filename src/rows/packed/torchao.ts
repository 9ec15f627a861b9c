import * as v from "valibot";
import { encodeUtf8 } from "#host/bytes";
import type { Coding, TensorSource } from "../../../formats/container.js";
import { parseJson } from "../../../formats/json.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts } from "./parts.js";
import { SMALL_VALUES, type SmallType } from "./scaled.js";

/** Numbers of a byte; w = (q - zero) × scale of the block, each step in f32. */
export interface TorchaoCoding extends Coding {
  readonly kind: "torchao";
  readonly type: SmallType;
  /** [rows / block rows, columns / block columns] */
  readonly scales: TensorSource;
  /** Signed bytes, as many as scales. */
  readonly zeros: TensorSource | undefined;
}

/** Subclasses of torch.Tensor that are such numbers. */
const KNOWN = ["Int8Tensor", "Float8Tensor", "IntxUnpackedToInt8Tensor"];

const TYPES = [...KNOWN, "Int4Tensor", "MXTensor", "NVFP4Tensor"].join(", ");

/** The module whose quants a tensor holds. */
export function torchaoStem(name: string): string | undefined {
  return /^(.*)\._weight_qdata$/.exec(name)?.[1];
}

export function torchaoPart(stem: string, of: string): string {
  return `${stem}._weight_${of}`;
}

/** What torchao takes tensors of its own apart to, and says of each in the file's metadata. */
export const torchao: Packing<TorchaoCoding> = {
  kind: "torchao",
  title: "torchao",
  methods: ["torchao"],
  untold: true,
  fields: v.unknown(),
  across: false,
  typeOf: ({ type }) => type,
  weightOf: (name) => torchaoStem(name)?.concat(".weight"),

  locate(parts, name, raw) {
    const stem = torchaoStem(name)!;
    checkTorchao(parts, stem, KNOWN);
    const part = (of: string) => torchaoPart(stem, of);
    const zeros = parts.raw(part("zero_point"));
    const hasFloatZeros = zeros === undefined && parts.has(part("zero_point"));
    const [rows, columns] = raw.shape;
    if (!Object.hasOwn(SMALL_VALUES, raw.type) || raw.shape.length !== 2 || hasFloatZeros) {
      const what = t`${name}, ${raw.type} of shape ${raw.shape.join(" x ")}`;
      return parts.unsupported(`${what}${hasFloatZeros ? t` with zeros that are floats` : ""}`, TYPES);
    }
    const scales = parts.take(part("scale"));
    if (scales === undefined) return parts.fail(t`${part("scale")} is missing, or no float`);
    const [down = 0, across = 0] = scales.shape;
    if (
      scales.shape.length !== 2 ||
      down < 1 ||
      across < 1 ||
      rows! % down !== 0 ||
      columns! % across !== 0
    ) {
      return parts.fail(
        t`the scales of ${stem}.weight, ${raw.shape.join(" x ")}, are ${scales.shape.join(" x ")}`,
      );
    }
    if (zeros !== undefined && (zeros.type !== "I8" || zeros.byteLength !== down * across)) {
      return parts.fail(
        t`${part("zero_point")} is ${zeros.type} of ${zeros.byteLength} bytes for ${down * across}`,
      );
    }
    return codedSource<TorchaoCoding>(raw, raw.shape, {
      kind: "torchao",
      type: raw.type as SmallType,
      scales,
      // read as bytes: the type does not matter
      zeros: zeros && { ...zeros, dtype: "F32" },
    });
  },

  decode(reader, { type, scales, zeros }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const [down, across] = scales.shape as [number, number];
    const height = source.shape[0]! / down;
    const width = columns / across;
    const values = SMALL_VALUES[type];
    const scaleRow = Math.floor(first / height);
    const scaleRows = Math.floor((first + count - 1) / height) + 1 - scaleRow;
    const scale = reader.floats(scales, scaleRow, scaleRows);
    const zero = zeros && reader.bytes(zeros, scaleRow * across, scaleRows * across);
    const stored = reader.bytes(source, first * columns, count * columns);
    const x = reader.kernels.floats(dst, count * columns);
    for (let r = 0, i = 0; r < count; r++) {
      const before = (Math.floor((first + r) / height) - scaleRow) * across;
      for (let g = before; g < before + across; g++) {
        const factor = scale[g]!;
        const offset = zero === undefined ? 0 : (zero[g]! << 24) >> 24;
        for (const end = i + width; i < end; i++) x[i] = (values[stored[i]!]! - offset) * factor;
      }
    }
  },
};

const said = v.object({
  _type: v.string(),
  _data: v.optional(
    v.looseObject({
      block_size: v.optional(v.unknown()),
      elem_dtype: v.optional(v.looseObject({ _data: v.optional(v.string()) })),
    }),
  ),
});

/** Quants that are read of them; others have the same bytes. */
const ELEMENTS = ["float4_e2m1fn_x2", "float8_e4m3fn", "float8_e5m2"];

/**
 * What the file says of a weight; nothing, in a shard that may not.
 * @throws LlqError `unsupported` when that is another class or another element
 */
export function checkTorchao(
  parts: Parts,
  stem: string,
  classes: readonly string[],
): { readonly block_size?: unknown } | undefined {
  const weight = `${stem}.weight`;
  if (parts.has(torchaoPart(stem, "act_pre_scale"))) {
    return parts.unsupported(t`${weight} with an act_pre_scale`, t`weights alone`);
  }
  const text = parts.metadata(weight);
  if (text === undefined) return undefined;
  const read = v.safeParse(said, parseJson(parts.where, encodeUtf8(text)));
  const type = read.success ? read.output._type : t`a tensor without _type`;
  if (!read.success || !classes.includes(type))
    return parts.unsupported(t`${weight} is torchao's ${type}`, TYPES);
  const element = read.output._data?.elem_dtype?._data;
  if (element !== undefined && !ELEMENTS.includes(element)) {
    return parts.unsupported(t`${weight} is of torchao's ${element}`, ELEMENTS.join(", "));
  }
  return read.output._data;
}
