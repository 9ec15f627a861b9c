import * as v from "valibot";
import type { Coding, RawSource, TensorSource } from "../../../formats/container.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import { transposed } from "../transposed.js";
import { byteScales, type Fp4Coding, fp4Decoder } from "./fp4.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts } from "./parts.js";
import { MX_COLUMNS, type ScaledCoding, scaled } from "./scaled.js";
import { swizzledScales } from "./swizzled.js";
import { checkTorchao, torchaoPart, torchaoStem } from "./torchao.js";

// torchao's classes of 4 bits, and of one scale for each group of columns.

/** Two signed numbers in a byte, the lower half first; w = q × scale + zero of the group [out, groups], each step in f32. */
export interface TorchaoInt4Coding extends Coding {
  readonly kind: "torchao-int4";
  readonly scales: TensorSource;
  readonly zeros: TensorSource;
}

const common = { title: "torchao", methods: ["torchao"], untold: true, fields: v.unknown() } as const;

/** Int4Tensor, whose kernels compute weights in 16 bits. */
export const torchaoInt4: Packing<TorchaoInt4Coding> = {
  ...common,
  kind: "torchao-int4",
  across: false,
  typeOf: () => "INT4",
  weightOf: (name, { type }, parts) => {
    const stem = torchaoStem(name);
    if (stem === undefined || type !== "I8") return undefined;
    // integers of 8 bits have zeros that are integers, or none
    return parts.peek(torchaoPart(stem, "zero_point")) === undefined ? undefined : `${stem}.weight`;
  },

  locate(parts, name, raw) {
    const stem = torchaoStem(name)!;
    checkTorchao(parts, stem, ["Int4Tensor"]);
    const [rows, bytes] = raw.shape;
    if (!rows || !bytes || raw.shape.length > 2) {
      return parts.unsupported(t`${name}, ${raw.type} of shape ${raw.shape.join(" x ")}`, t`matrices`);
    }
    const columns = bytes * 2;
    const [scales, zeros] = ["scale", "zero_point"].map((of) => {
      const table = parts.take(torchaoPart(stem, of));
      const [groups = 0, across] = table?.shape ?? [];
      if (table?.shape.length === 2 && across === rows && groups > 0 && columns % groups === 0) return table;
      const what = table === undefined ? t`missing` : table.shape.join(" x ");
      return parts.fail(t`${torchaoPart(stem, of)} of ${rows} x ${columns} weights is ${what}`);
    }) as [TensorSource, TensorSource];
    if (scales.shape.join() !== zeros.shape.join()) {
      parts.fail(
        t`${stem} has other scales than zeros: ${scales.shape.join(" x ")}, ${zeros.shape.join(" x ")}`,
      );
    }
    return codedSource<TorchaoInt4Coding>(raw, [rows, columns], {
      kind: "torchao-int4",
      scales: transposed(scales),
      zeros: transposed(zeros),
    });
  },

  decode(reader, { scales, zeros }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const groups = rowLength(scales);
    const half = columns / groups / 2;
    const scale = reader.floats(scales, first, count);
    const zero = reader.floats(zeros, first, count);
    const n = (count * columns) / 2;
    const stored = reader.bytes(source, (first * columns) / 2, n);
    const x = reader.kernels.floats(dst, n * 2);
    for (let i = 0, g = 0; i < n; g++) {
      const [factor, offset] = [scale[g]!, zero[g]!];
      for (const end = i + half; i < end; i++) {
        const byte = stored[i]!;
        x[2 * i] = Math.fround(((byte << 28) >> 28) * factor) + offset;
        x[2 * i + 1] = Math.fround(((byte << 24) >> 28) * factor) + offset;
      }
    }
  },
};

const NV_COLUMNS = 16;

interface Groups {
  readonly type: Fp4Coding["type"];
  readonly columns: number;
  readonly scales: TensorSource;
}

/** Whose scale is a byte, of E8M0 or of E4M3, beside quants of any type. */
function scaleBytes(parts: Parts, name: string): RawSource | undefined {
  const stem = torchaoStem(name);
  const scale = stem === undefined ? undefined : parts.raw(torchaoPart(stem, "scale"));
  return scale?.type === "F8_E8M0" || scale?.type === "F8_E4M3" ? scale : undefined;
}

function groupsOf(parts: Parts, name: string, rows: number, columns: number): Groups {
  const stem = torchaoStem(name)!;
  const raw = scaleBytes(parts, name)!;
  const isMx = raw.type === "F8_E8M0";
  const said = checkTorchao(parts, stem, [isMx ? "MXTensor" : "NVFP4Tensor"]);
  const width = isMx ? MX_COLUMNS : NV_COLUMNS;
  if ((said?.block_size ?? width) !== width) {
    return parts.unsupported(t`${name} in groups of ${said?.block_size}`, t`groups of ${width}`);
  }
  const type = isMx ? "F8_E8M0" : "F8_E4M3";
  const groups = columns / width;
  const plain = raw.shape.join() === [rows, groups].join() ? byteScales(raw, type) : undefined;
  const scales = plain ?? swizzledScales(raw, type, rows, groups);
  if (scales !== undefined && Number.isInteger(groups)) {
    return { type: isMx ? "MXFP4" : "NVFP4", columns: width, scales };
  }
  return parts.fail(
    t`${torchaoPart(stem, "scale")} of ${rows} x ${columns} weights is ${raw.shape.join(" x ")}`,
  );
}

/** NVFP4Tensor, and MXTensor of E2M1. */
export const torchaoFp4: Packing<Fp4Coding> = {
  ...common,
  ...fp4Decoder,
  across: false,
  weightOf: (name, { type }, parts) =>
    type === "U8" && scaleBytes(parts, name) ? `${torchaoStem(name)}.weight` : undefined,

  locate(parts, name, raw) {
    const stem = torchaoStem(name)!;
    const [rows, bytes] = raw.shape;
    if (!rows || !bytes || raw.shape.length > 2) {
      return parts.unsupported(t`${name}, U8 of shape ${raw.shape.join(" x ")}`, t`matrices`);
    }
    const { type, columns, scales } = groupsOf(parts, name, rows, bytes * 2);
    parts.take(torchaoPart(stem, "act_per_tensor_scale")); // of what runs through
    const factor = parts.take(torchaoPart(stem, "per_tensor_scale"));
    if (factor?.shape.some((length) => length !== 1)) {
      return parts.fail(t`${torchaoPart(stem, "per_tensor_scale")} is ${factor.shape.join(" x ")}`);
    }
    return codedSource<Fp4Coding>(raw, [rows, bytes * 2], {
      kind: "fp4",
      type,
      scales,
      groupSize: columns,
      factor: factor && { ...factor, shape: [1, 1] },
    });
  },
};

/** MXTensor of 8 bits. */
export const torchaoMx: Packing<ScaledCoding> = {
  ...scaled,
  ...common,
  weightOf: (name, { type }, parts) =>
    /^F8_E[45]M[32]$/.test(type) && scaleBytes(parts, name) ? `${torchaoStem(name)}.weight` : undefined,

  locate(parts, name, raw) {
    const [rows, columns] = raw.shape;
    if (!rows || !columns || raw.shape.length > 2) {
      return parts.unsupported(t`${name}, ${raw.type} of shape ${raw.shape.join(" x ")}`, t`matrices`);
    }
    const { columns: width, scales } = groupsOf(parts, name, rows, columns);
    const scale = { source: scales, rows: 1, columns: width };
    return codedSource<ScaledCoding>(raw, raw.shape, {
      kind: "scaled",
      type: raw.type as ScaledCoding["type"],
      scale,
    });
  },
};
