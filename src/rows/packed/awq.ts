import * as v from "valibot";
import type { Coding, RawSource, TensorSource } from "../../../formats/container.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import { transposed } from "../transposed.js";
import { groupSize, wholeNumber } from "./config.js";
import { groupTables, weightOfQweight } from "./groups.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts, wordSource } from "./parts.js";

/** Words [out / 8, in] and zeros [out / 8, groups], whose nibbles hold rows 0, 2, 4, 6, 1, 3, 5, 7; scales [out, groups]. */
export interface AwqCoding extends Coding {
  readonly kind: "awq";
  readonly words: TensorSource;
  readonly zeros: TensorSource;
  readonly scales: TensorSource;
  readonly groupSize: number;
}

export const awqFields = v.looseObject({
  bits: v.optional(wholeNumber),
  group_size: groupSize,
  version: v.nullish(v.string()),
  /** As GPTQModel calls it. */
  checkpoint_format: v.nullish(v.string()),
});

export type AwqFields = v.InferOutput<typeof awqFields>;

/** Where in its word AWQ's kernels want each of eight rows: the inverse of 0, 2, 4, 6, 1, 3, 5, 7, in bits. */
const SHIFTS = [0, 16, 4, 20, 8, 24, 12, 28];

export const awq: Packing<AwqCoding, AwqFields> = {
  kind: "awq",
  title: "AWQ",
  methods: ["awq"],
  fields: awqFields,
  across: true,
  typeOf: () => "AWQ-4",
  weightOf: weightOfQweight,

  locate(parts, name, raw, settings) {
    checkAwq(parts, settings, ["gemm"]);
    return locateAwq(parts, name, raw, settings.group_size);
  },

  decode(reader, { words, zeros, scales, groupSize }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const groupCount = rowLength(scales);
    const firstWord = Math.floor(first / 8);
    const wordRows = Math.floor((first + count - 1) / 8) + 1 - firstWord;
    const z = reader.words(zeros, firstWord, wordRows).slice();
    const scale = reader.floats(scales, first, count);
    const q = reader.words(words, firstWord, wordRows);
    const x = reader.kernels.floats(dst, count * columns);
    for (let r = 0; r < count; r++) {
      const wordRow = Math.floor((first + r) / 8) - firstWord;
      const shift = SHIFTS[(first + r) % 8]!;
      for (let c = 0; c < columns; c++) {
        const g = Math.floor(c / groupSize);
        const zero = (z[wordRow * groupCount + g]! >>> shift) & 15;
        x[r * columns + c] =
          scale[r * groupCount + g]! * (((q[wordRow * columns + c]! >>> shift) & 15) - zero);
      }
    }
  },
};

/** @throws LlqError `unsupported` for other bits, and for words in another order than those */
export function checkAwq(
  parts: Parts,
  { bits, version, checkpoint_format }: AwqFields,
  versions: readonly string[],
): void {
  if (bits !== 4) parts.unsupported(t`AWQ with ${bits ?? t`unknown`} bits`, "4");
  const said = version ?? checkpoint_format ?? "gemm";
  if (versions.includes(said.toLowerCase())) return;
  parts.unsupported(
    t`AWQ packed for ${said}, with tensors of another shape`,
    t`gemm, gemv, gemv_fast and llm-awq`,
  );
}

export function locateAwq(parts: Parts, name: string, raw: RawSource, groupSize: number): TensorSource {
  const stem = name.replace(/\.qweight$/, "");
  const [columns, wordColumns] = parts.integers(name, raw, 2) as [number, number];
  const rows = wordColumns * 8;
  const size = groupSize === -1 ? columns : groupSize;
  const tables = groupTables(parts, stem, rows, Math.ceil(columns / size), 4);
  const words = transposed(wordSource(raw));
  return codedSource<AwqCoding>(raw, [rows, columns], { kind: "awq", words, ...tables, groupSize: size });
}
