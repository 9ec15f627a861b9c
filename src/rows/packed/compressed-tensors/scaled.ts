import type { TensorSource } from "../../../../formats/container.js";
import { t } from "../../../language/t.js";
import type { Packing } from "../packing.js";
import { codedSource, type Parts } from "../parts.js";
import { powersOf, type ScaledCoding, scaled } from "../scaled.js";
import { type CompressedTensors, compressedTensors, type Scheme, schemeOf } from "./config.js";

const { untold: _, ...own } = scaled;

/** compressed-tensors' int-, float- and naive-quantized and mxfp8: a byte for each weight, scales of any shape, zeros. */
export const compressedScaled: Packing<ScaledCoding, CompressedTensors> = {
  ...own,
  methods: ["compressed-tensors"],
  fields: compressedTensors,

  locate(parts, name, raw, settings) {
    if (Object.keys(settings.config_groups).length === 0) return scaled.locate(parts, name, raw, {});
    const [rows, columns] = raw.shape;
    if (rows === undefined || columns === undefined || raw.shape.length > 2) {
      return parts.unsupported(t`${name} is ${raw.type} of shape ${raw.shape.join(" x ")}`, t`matrices`);
    }
    const scale = parts.take(`${name}_scale`) ?? powersOf(parts.raw(`${name}_scale`));
    if (scale === undefined) return parts.fail(t`${name} is ${raw.type} and has no ${name}_scale`);
    const [down, across] = matrix(scale.shape);
    const scheme = schemeOf(parts, settings, name.replace(/\.weight$/, ""), (each) => {
      if (
        raw.type === "I8" ? each.type !== "int" || each.bits > 8 : each.type !== "float" || each.bits !== 8
      ) {
        return false;
      }
      const block = blockOf(each, rows, columns);
      return Math.ceil(rows / block.rows) === down && Math.ceil(columns / block.columns) === across;
    });
    const zeros = zerosOf(parts, `${name}_zero_point`, scale.shape);
    const source = { ...scale, shape: [down, across] };
    return codedSource<ScaledCoding>(raw, raw.shape, {
      kind: "scaled",
      type: raw.type as ScaledCoding["type"],
      scale: { source, ...blockOf(scheme, rows, columns) },
      ...(zeros && { zeros: { ...zeros, shape: [down, across] } }),
    });
  },
};

function blockOf(scheme: Scheme, rows: number, columns: number): { rows: number; columns: number } {
  return { rows: scheme.rows ?? rows, columns: scheme.columns ?? columns };
}

function matrix(shape: readonly number[]): readonly [number, number] {
  return shape.length > 2 ? [0, 0] : [shape[0] ?? 1, shape[1] ?? 1];
}

function zerosOf(parts: Parts, name: string, shape: readonly number[]): TensorSource | undefined {
  const raw = parts.raw(name);
  if (raw === undefined) {
    if (parts.take(name) === undefined) return undefined;
    return parts.unsupported(t`${name} is of floats`, t`zero points of type I8`);
  }
  if (raw.type !== "I8") return parts.unsupported(t`${name} is ${raw.type}`, t`zero points of type I8`);
  if (raw.shape.join() !== shape.join()) {
    parts.fail(t`${name} is ${raw.shape.join(" x ")}; ${shape.join(" x ")} were expected`);
  }
  return codedSource<ScaledCoding>(raw, raw.shape, { kind: "scaled", type: "I8" });
}
