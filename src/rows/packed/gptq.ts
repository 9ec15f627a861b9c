import * as v from "valibot";
import type { Coding, TensorSource } from "../../../formats/container.js";
import { rowLength } from "../../tensor.js";
import { transposed } from "../transposed.js";
import { groupSize, wholeNumber } from "./config.js";
import { groupOfColumns, groupTables, weightOfQweight } from "./groups.js";
import type { Packing } from "./packing.js";
import { codedSource, wordSource } from "./parts.js";

/**
 * Words [out, in × bits / 32], lowest bits first; zeros [out × bits / 32, groups], scales [out, groups];
 * w = scale × (q - zero - zeroOffset), a column's group from `groups` (words [1, in]) or its number.
 */
export interface GptqCoding extends Coding {
  readonly kind: "gptq";
  readonly bits: 2 | 4 | 8;
  readonly words: TensorSource;
  readonly zeros: TensorSource;
  readonly zeroOffset: 0 | 1;
  readonly scales: TensorSource;
  readonly groups: TensorSource | undefined;
  readonly groupSize: number;
}

const fields = v.looseObject({
  bits: v.optional(wholeNumber),
  group_size: groupSize,
  checkpoint_format: v.nullish(v.string()),
});

export const gptq: Packing<GptqCoding, v.InferOutput<typeof fields>> = {
  kind: "gptq",
  title: "GPTQ",
  methods: ["gptq"],
  fields,
  across: true,
  typeOf: ({ bits }) => `GPTQ-${bits}`,
  weightOf: weightOfQweight,

  locate(parts, name, raw, { bits, group_size, checkpoint_format: format }) {
    if (bits !== 2 && bits !== 4 && bits !== 8) {
      return parts.unsupported(`GPTQ with ${bits ?? "unknown"} bits`, "2, 4 and 8");
    }
    if (format != null && format !== "gptq" && format !== "gptq_v2") {
      return parts.unsupported(`GPTQ in the format ${format}`, "gptq and gptq_v2");
    }
    const stem = name.replace(/\.qweight$/, "");
    const pack = 32 / bits;
    const [wordRows, rows] = parts.integers(name, raw, 2) as [number, number];
    const columns = wordRows * pack;
    const size = group_size === -1 ? columns : group_size;
    const { zeros, scales } = groupTables(parts, stem, rows, Math.ceil(columns / size), pack);
    const order = parts.raw(`${stem}.g_idx`);
    if (order !== undefined) {
      const [length] = parts.integers(`${stem}.g_idx`, order, 1);
      if (length !== columns) parts.fail(`${stem}.g_idx has ${length} columns of ${columns}`);
    }
    return codedSource<GptqCoding>(raw, [rows, columns], {
      kind: "gptq",
      bits,
      words: transposed(wordSource(raw)),
      zeros,
      zeroOffset: format === "gptq_v2" ? 0 : 1,
      scales,
      groups: order && wordSource({ ...order, shape: [1, columns] }),
      groupSize: size,
    });
  },

  decode(
    reader,
    { bits, words, zeros, zeroOffset, scales, groups, groupSize },
    { source, first, count, dst },
  ) {
    const columns = rowLength(source);
    const pack = 32 / bits;
    const mask = 2 ** bits - 1;
    const groupCount = rowLength(scales);
    const group = groupOfColumns(reader, columns, groupCount, groupSize, groups);
    const wordsInRow = rowLength(words);
    const firstZero = Math.floor(first / pack);
    const z = reader.words(zeros, firstZero, Math.floor((first + count - 1) / pack) + 1 - firstZero).slice();
    const scale = reader.floats(scales, first, count);
    const q = reader.words(words, first, count);
    const x = reader.kernels.floats(dst, count * columns);
    const offsets = new Float32Array(groupCount);
    for (let r = 0; r < count; r++) {
      const zeroRow = (Math.floor((first + r) / pack) - firstZero) * groupCount;
      const zeroShift = ((first + r) % pack) * bits;
      for (let g = 0; g < groupCount; g++) {
        offsets[g] = ((z[zeroRow + g]! >>> zeroShift) & mask) + zeroOffset;
      }
      for (let c = 0; c < columns; c++) {
        const word = q[r * wordsInRow + Math.floor(c / pack)]!;
        const g = group[c]!;
        x[r * columns + c] =
          scale[r * groupCount + g]! * (((word >>> ((c % pack) * bits)) & mask) - offsets[g]!);
      }
    }
  },
};
