import type { Coding, TensorSource } from "../../../../formats/container.js";
import { rowLength } from "../../../tensor.js";
import { readStored } from "../../stored.js";
import type { Packing } from "../packing.js";
import { codedSource, type Parts } from "../parts.js";
import type { ScaledCoding } from "../scaled.js";
import { type CompressedTensors, compressedTensors, schemeOf } from "./config.js";
import { exponents } from "./scaled.js";

/** Two numbers of E2M1 in a byte, the lower half first, scales [out, groups]; w = q × (scale / divisor). */
export interface Fp4Coding extends Coding {
  readonly kind: "fp4";
  readonly type: "NVFP4" | "MXFP4";
  readonly scales: TensorSource;
  readonly groupSize: number;
  /** One number [1, 1]. */
  readonly divisor: TensorSource | undefined;
}

const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];

/** compressed-tensors' nvfp4-pack-quantized, with scales of E4M3, and mxfp4-pack-quantized, with those of E8M0. */
export const fp4: Packing<Fp4Coding, CompressedTensors> = {
  kind: "fp4",
  title: "compressed-tensors",
  methods: ["compressed-tensors"],
  fields: compressedTensors,
  across: false,
  // not a name of GGUF's types, which the bytes are not in the order of
  typeOf: ({ type }) => `${type}-packed`,
  weightOf: (name, { type }) =>
    type === "U8" && name.endsWith(".weight_packed") ? name.replace(/_packed$/, "") : undefined,

  locate(parts, name, raw, settings) {
    const module = name.replace(/\.weight_packed$/, "");
    const part = (suffix: string) => `${module}.weight_${suffix}`;
    const [rows, bytes] = raw.shape;
    if (!rows || !bytes || raw.shape.length > 2) {
      return parts.unsupported(`${name} is U8 of shape ${raw.shape.join(" x ")}`, "matrices");
    }
    if (parts.raw(part("zero_point")) !== undefined || parts.take(part("zero_point")) !== undefined) {
      return parts.unsupported(`${part("zero_point")} of 4-bit floats`, "scales alone");
    }
    const columns = bytes * 2;
    const scales = scalesOf(parts, part("scale"));
    const { columns: groupSize = columns } = schemeOf(parts, settings, module, (each) => {
      if (each.type !== "float" || each.bits !== 4 || each.rows !== 1 || each.columns === undefined)
        return false;
      return each.columns % 2 === 0 && scales.source.shape.join() === [rows, columns / each.columns].join();
    });
    const divisor = parts.take(part("global_scale"));
    const isWhole = divisor === undefined || divisor.shape.every((length) => length === 1);
    if ((divisor !== undefined) !== (scales.type === "NVFP4") || !isWhole) {
      return parts.fail(
        `${module} has scales of ${scales.type}, and ${divisor ? "a" : "no"} weight_global_scale`,
      );
    }
    return codedSource<Fp4Coding>(raw, [rows, columns], {
      kind: "fp4",
      type: scales.type,
      scales: scales.source,
      groupSize,
      divisor: divisor && { ...divisor, shape: [1, 1] },
    });
  },

  decode(reader, { scales, groupSize, divisor }, { source, first, count, dst }) {
    const { kernels, files, name } = reader;
    const columns = rowLength(source);
    const scale = reader.floats(scales, first, count);
    const [by] = divisor === undefined ? [1] : reader.floats(divisor, 0, 1);
    for (let i = 0; i < scale.length; i++) scale[i]! /= by!;
    const n = (count * columns) / 2;
    const address = kernels.reserve(n);
    const stored = kernels.bytes(address, n);
    readStored(files[source.file]!, source, (first * columns) / 2, n, { memory: () => stored, name }, 0);
    const x = kernels.floats(dst, n * 2);
    const half = groupSize / 2;
    for (let i = 0, g = 0; i < n; g++) {
      const factor = scale[g]!;
      for (const end = i + half; i < end; i++) {
        const byte = stored[i]!;
        x[2 * i] = E2M1[byte & 15]! * factor;
        x[2 * i + 1] = E2M1[byte >> 4]! * factor;
      }
    }
  },
};

function scalesOf(parts: Parts, name: string): { type: Fp4Coding["type"]; source: TensorSource } {
  const raw = parts.raw(name);
  const powers = exponents(raw);
  if (powers !== undefined) return { type: "MXFP4", source: powers };
  if (raw?.type !== "F8_E4M3")
    return parts.fail(`${name} is ${raw?.type ?? "missing"}; F8_E4M3 or U8 was expected`);
  return {
    type: "NVFP4",
    source: codedSource<ScaledCoding>(raw, raw.shape, { kind: "scaled", type: "F8_E4M3" }),
  };
}
