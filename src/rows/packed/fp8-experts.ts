import { t } from "../../language/t.js";
import { type Fp4Coding, fp4Decoder } from "./fp4.js";
import type { Packing } from "./packing.js";
import { codedSource } from "./parts.js";
import { MX_COLUMNS, powersOf, type ScaledFields, scaledFields, scaleNames } from "./scaled.js";

/** Experts of 4 bits in a checkpoint of 8: two numbers of E2M1 in a byte, a scale of E8M0 for 32 columns. */
export const fp8Experts: Packing<Fp4Coding, ScaledFields> = {
  ...fp4Decoder,
  title: "8-bit numbers with scales",
  methods: ["fp8"],
  fields: scaledFields,
  across: false,
  weightOf: (name, { type }, parts) => {
    if ((type !== "I8" && type !== "U8" && type !== "F4") || !name.endsWith(".weight")) return undefined;
    return scaleNames(name).some((each) => powersOf(parts.raw(each))) ? name : undefined;
  },

  locate(parts, name, raw, { expert_dtype }) {
    if (expert_dtype !== "fp4") {
      return parts.unsupported(
        t`${name} is ${raw.type} with scales of powers of two`,
        t`an expert_dtype of fp4`,
      );
    }
    const [rows, stored] = raw.shape;
    // F4 counts numbers, the others bytes
    const columns = raw.type === "F4" ? stored : (stored ?? 0) * 2;
    if (!rows || !columns || raw.shape.length > 2) {
      return parts.unsupported(t`${name} is ${raw.type} of shape ${raw.shape.join(" x ")}`, t`matrices`);
    }
    const scales = scaleNames(name).flatMap((each) => powersOf(parts.raw(each)) ?? [])[0]!;
    if (scales.shape.join() !== [rows, columns / MX_COLUMNS].join()) {
      return parts.fail(t`the scales of ${name}, ${rows} x ${columns}, are ${scales.shape.join(" x ")}`);
    }
    return codedSource<Fp4Coding>(raw, [rows, columns], {
      kind: "fp4",
      type: "MXFP4",
      scales,
      groupSize: MX_COLUMNS,
    });
  },
};
