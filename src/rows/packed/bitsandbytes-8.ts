import * as v from "valibot";
import type { Coding, TensorSource } from "../../../formats/container.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import type { Packing } from "./packing.js";
import { codedSource } from "./parts.js";

/** Numbers of a byte, whose greatest in a row is 127: w = q × scales[row] × (1 / 127), each step in f32. */
export interface RowwiseCoding extends Coding {
  readonly kind: "bitsandbytes-8";
  /** [rows, 1] */
  readonly scales: TensorSource;
}

const STEP = Math.fround(1 / 127);

/** bitsandbytes' LLM.int8(). */
export const bitsandbytes8: Packing<RowwiseCoding> = {
  kind: "bitsandbytes-8",
  title: "bitsandbytes",
  methods: ["bitsandbytes"],
  untold: true,
  fields: v.unknown(),
  across: false,
  typeOf: () => "I8",
  weightOf: (name, { type }, parts) =>
    type === "I8" && name.endsWith(".weight") && parts.has(scalesOf(name)) ? name : undefined,

  locate(parts, name, raw) {
    const [rows, columns] = raw.shape;
    if (rows === undefined || columns === undefined || raw.shape.length > 2) {
      return parts.unsupported(t`${name} is I8 of shape ${raw.shape.join(" x ")}`, t`matrices`);
    }
    const format = parts.raw(`${name}_format`);
    const order = format && parts.bytes(`${name}_format`, format);
    if (order?.some((byte) => byte !== 0)) {
      return parts.unsupported(
        t`${name} in the order ${order.join()} of a GPU`,
        t`rows one after another (0)`,
      );
    }
    const scales = { ...parts.floats(scalesOf(name), rows), shape: [rows, 1] };
    return codedSource<RowwiseCoding>(raw, raw.shape, { kind: "bitsandbytes-8", scales });
  },

  decode(reader, { scales }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const scale = reader.floats(scales, first, count);
    const stored = reader.bytes(source, first * columns, count * columns);
    const x = reader.kernels.floats(dst, count * columns);
    for (let r = 0, i = 0; r < count; r++) {
      const factor = scale[r]!;
      for (const end = i + columns; i < end; i++) {
        x[i] = Math.fround(((stored[i]! << 24) >> 24) * factor) * STEP;
      }
    }
  },
};

function scalesOf(name: string): string {
  return name.replace(/weight$/, "SCB");
}
