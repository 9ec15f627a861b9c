import * as v from "valibot";
import type { Coding, RawSource, TensorSource } from "../../../formats/container.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import { transposed } from "../transposed.js";
import { unpackBits, unpackRows } from "./bits.js";
import { groupSize, wholeNumber } from "./config.js";
import { groupOfColumns, groupTables, refuseOthers, scaleGroups, weightOfQweight } from "./groups.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts, wordSource } from "./parts.js";

/**
 * Words [out, in × bits / 32], lowest bits first; zeros [out × bits / 32, groups], scales [out, groups];
 * w = scale × (q - zero - zeroOffset), a column's group from `groups` (words [1, in]) or its number.
 */
export interface GptqCoding extends Coding {
  readonly kind: "gptq";
  readonly bits: number;
  /** Numbers and zeros are in planes of bits (bits.ts). */
  readonly planar?: boolean;
  readonly words: TensorSource;
  readonly zeros: TensorSource;
  readonly zeroOffset: 0 | 1;
  readonly scales: TensorSource;
  readonly groups: TensorSource | undefined;
  readonly groupSize: number;
}

/** What makes a packed layer, where it is known. */
export interface GptqLayer {
  readonly bits: number;
  /** Columns that share a scale; -1: all. */
  readonly groupSize: number;
  readonly zeroOffset: 0 | 1;
  readonly planar?: boolean;
}

const fields = v.looseObject({
  bits: v.optional(wholeNumber),
  group_size: groupSize,
  checkpoint_format: v.nullish(v.string()),
  rotation: v.nullish(v.unknown()),
  adapter: v.nullish(v.unknown()),
  pack_dtype: v.nullish(v.string()),
  is_marlin_format: v.nullish(v.boolean()),
});

export const gptq: Packing<GptqCoding, v.InferOutput<typeof fields>> = {
  kind: "gptq",
  title: "GPTQ",
  methods: ["gptq"],
  fields,
  across: true,
  typeOf: ({ bits }) => `GPTQ-${bits}`,
  weightOf: weightOfQweight,

  locate(parts, name, raw, settings) {
    const { bits, group_size, checkpoint_format, is_marlin_format: tiled, pack_dtype: words } = settings;
    const format = tiled === true ? "marlin" : checkpoint_format;
    const planar = format === "gptq_p";
    const known = planar ? [2, 3, 4, 5, 6, 7, 8] : [2, 3, 4, 8];
    if (bits === undefined || !known.includes(bits)) {
      return parts.unsupported(t`GPTQ with ${bits ?? t`unknown`} bits`, known.join(", "));
    }
    if (format != null && !planar && format !== "gptq" && format !== "gptq_v2") {
      return parts.unsupported(t`GPTQ in the format ${format}`, t`gptq, gptq_v2 and gptq_p`);
    }
    if (words != null && words !== "int32") return parts.unsupported(t`GPTQ packed in ${words}`, "int32");
    refuseOthers(parts, settings, ["rotation", "adapter"]);
    return locateGptq(parts, name, raw, {
      bits,
      groupSize: group_size,
      zeroOffset: planar || format === "gptq_v2" ? 0 : 1,
      planar,
    });
  },

  decode(
    reader,
    { bits, planar = false, words, zeros, zeroOffset, scales, groups, groupSize },
    { source, first, count, dst },
  ) {
    const columns = rowLength(source);
    const groupCount = rowLength(scales);
    const group = groupOfColumns(reader, groupCount, groupSize, groups);
    const wordsInRow = rowLength(words);
    const zero = unpackRows(reader, { bits, planar }, zeros, first, count);
    for (let i = 0; i < zero.length; i++) zero[i]! += zeroOffset;
    const scale = reader.floats(scales, first, count);
    const q = reader.words(words, first, count);
    const x = reader.kernels.floats(dst, count * columns);
    for (let r = 0; r < count; r++) {
      const row = x.subarray(r * columns, (r + 1) * columns);
      unpackBits({ bits, planar }, q, r * wordsInRow, row);
      scaleGroups(row, scale, zero, { scale: r * groupCount, zero: r * groupCount }, group);
    }
  },
};

export function locateGptq(
  parts: Parts,
  name: string,
  raw: RawSource,
  { bits, groupSize, zeroOffset, planar = false }: GptqLayer,
): TensorSource {
  const stem = name.replace(/\.qweight$/, "");
  const [wordRows, rows] = parts.integers(name, raw, 2) as [number, number];
  const columns = (wordRows * 32) / bits;
  if (!Number.isInteger(columns))
    parts.fail(t`${name} has ${wordRows} rows, which hold no whole number of ${bits} bits`);
  if (planar && (columns % 32 !== 0 || rows % 32 !== 0)) {
    parts.fail(t`${name} is of ${rows} x ${columns} numbers in planes, which are of 32`);
  }
  const size = groupSize === -1 ? columns : groupSize;
  const { zeros, scales } = groupTables(parts, stem, rows, Math.ceil(columns / size), bits);
  const order = parts.raw(`${stem}.g_idx`);
  if (order !== undefined) {
    const [length] = parts.integers(`${stem}.g_idx`, order, 1);
    if (length !== columns) parts.fail(t`${stem}.g_idx has ${length} columns of ${columns}`);
  }
  return codedSource<GptqCoding>(raw, [rows, columns], {
    kind: "gptq",
    bits,
    ...(planar && { planar }),
    words: transposed(wordSource(raw)),
    zeros,
    zeroOffset,
    scales,
    groups: order && wordSource({ ...order, shape: [1, columns] }),
    groupSize: size,
  });
}
