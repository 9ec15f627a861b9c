import type { TensorSource } from "../../../../formats/container.js";
import { t } from "../../../language/t.js";
import { byteScales, type Fp4Coding, fp4Decoder } from "../fp4.js";
import type { Packing } from "../packing.js";
import { codedSource, type Parts } from "../parts.js";
import { powersOf } from "../scaled.js";
import { type CompressedTensors, compressedTensors, schemeOf } from "./config.js";

/** compressed-tensors' nvfp4-pack-quantized, with scales of E4M3, and mxfp4-pack-quantized, with those of E8M0. */
export const fp4: Packing<Fp4Coding, CompressedTensors> = {
  ...fp4Decoder,
  title: "compressed-tensors",
  methods: ["compressed-tensors"],
  fields: compressedTensors,
  across: false,
  weightOf: (name, { type }) =>
    type === "U8" && name.endsWith(".weight_packed") ? name.replace(/_packed$/, "") : undefined,

  locate(parts, name, raw, settings) {
    const module = name.replace(/\.weight_packed$/, "");
    const part = (suffix: string) => `${module}.weight_${suffix}`;
    const [rows, bytes] = raw.shape;
    if (!rows || !bytes || raw.shape.length > 2) {
      return parts.unsupported(t`${name} is U8 of shape ${raw.shape.join(" x ")}`, t`matrices`);
    }
    if (parts.raw(part("zero_point")) !== undefined || parts.take(part("zero_point")) !== undefined) {
      return parts.unsupported(t`${part("zero_point")} of 4-bit floats`, t`scales alone`);
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
        divisor
          ? t`${module} has scales of ${scales.type}, and a weight_global_scale`
          : t`${module} has scales of ${scales.type}, and no weight_global_scale`,
      );
    }
    return codedSource<Fp4Coding>(raw, [rows, columns], {
      kind: "fp4",
      type: scales.type,
      scales: scales.source,
      groupSize,
      divisor: divisor && { ...divisor, shape: [1, 1] },
      inputs: parts.carry(`${module}.input_global_scale`),
    });
  },
};

function scalesOf(parts: Parts, name: string): { type: Fp4Coding["type"]; source: TensorSource } {
  const raw = parts.raw(name);
  const powers = powersOf(raw);
  if (powers !== undefined) return { type: "MXFP4", source: powers };
  if (raw?.type !== "F8_E4M3")
    return parts.fail(t`${name} is ${raw?.type ?? t`missing`}; F8_E4M3 or U8 was expected`);
  return { type: "NVFP4", source: byteScales(raw, "F8_E4M3") };
}
