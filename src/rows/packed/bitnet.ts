import * as v from "valibot";
import type { Coding, TensorSource } from "../../../formats/container.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import type { Packing } from "./packing.js";
import { codedSource } from "./parts.js";

/**
 * Numbers -1, 0 and 1, each 1 more in two bits: rows r, r + rows / 4, r + rows / 2 and r + 3 rows / 4 are in row r of bytes,
 * the first in the lowest bits.
 */
export interface TernaryCoding extends Coding {
  readonly kind: "bitnet";
  readonly rows: number;
  /** [1, 1] */
  readonly scale: TensorSource;
  /** Of a weight; otherwise what weights were multiplied by. */
  readonly multiplies: boolean;
}

const fields = v.looseObject({
  linear_class: v.nullish(v.string()),
  quantization_mode: v.nullish(v.string()),
});

/** BitNet b1.58, as transformers' BitLinear and AutoBitLinear store it. */
export const bitnet: Packing<TernaryCoding, v.InferOutput<typeof fields>> = {
  kind: "bitnet",
  title: "BitNet",
  methods: ["bitnet"],
  fields,
  across: false,
  typeOf: () => "ternary",
  weightOf: (name, { type }, parts) =>
    type === "U8" && name.endsWith(".weight") && parts.has(`${name}_scale`) ? name : undefined,

  locate(parts, name, raw, { linear_class }) {
    const [packed, columns] = raw.shape;
    if (packed === undefined || columns === undefined || raw.shape.length > 2) {
      return parts.unsupported(t`${name} is U8 of shape ${raw.shape.join(" x ")}`, t`matrices`);
    }
    const rows = 4 * packed;
    const scale = { ...parts.floats(`${name}_scale`, 1), shape: [1, 1] };
    const multiplies = linear_class === "autobitlinear";
    return codedSource<TernaryCoding>(raw, [rows, columns], { kind: "bitnet", rows, scale, multiplies });
  },

  decode(reader, { rows, scale, multiplies }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const stored = reader.floats(scale, 0, 1)[0]!;
    const factor = Math.fround(multiplies ? stored : 1 / stored);
    const quarter = rows / 4;
    const { kernels } = reader;
    const mark = kernels.mark();
    for (let r = 0, i = 0; r < count; r++) {
      const row = first + r;
      const bytes = reader.bytes(source, (row % quarter) * columns, columns);
      const x = kernels.floats(dst, count * columns); // a row that is read may move the memory
      const shift = 2 * Math.floor(row / quarter);
      for (let c = 0; c < columns; c++) x[i++] = (((bytes[c]! >> shift) & 3) - 1) * factor;
      kernels.reset(mark);
    }
  },
};
