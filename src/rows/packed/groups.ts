import type { TensorSource } from "../../../formats/container.js";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { transposed } from "../transposed.js";
import { type Parts, wordSource } from "./parts.js";
import type { Reader } from "./reader.js";

// Whole numbers in 32-bit words, with a zero and a scale for each group of columns, all of it [in, out] in the file: what
// GPTQ and AWQ share.

/** The module whose numbers a tensor holds. */
export function weightOfQweight(name: string): string | undefined {
  return /^(.*)\.qweight$/.exec(name)?.[1]?.concat(".weight");
}

/** Sources as the weight has them, a line for each row: zeros [out × bits / 32, groups] of words and scales [out, groups]. */
export function groupTables(
  parts: Parts,
  stem: string,
  rows: number,
  groups: number,
  bits: number,
): { zeros: TensorSource; scales: TensorSource } {
  const [zeros, scales] = [parts.raw(`${stem}.qzeros`), parts.take(`${stem}.scales`)];
  if (zeros === undefined || scales === undefined) return parts.fail(t`${stem} has no qzeros or no scales`);
  const shapeOfZeros = parts.integers(`${stem}.qzeros`, zeros, 2);
  if (shapeOfZeros.join() !== [groups, (rows * bits) / 32].join()) {
    parts.fail(
      t`${stem}.qzeros is ${zeros.shape.join(" x ")}; ${groups} groups of ${rows} rows were expected`,
    );
  }
  if (scales.shape.join() !== [groups, rows].join()) {
    parts.fail(t`${stem}.scales is ${scales.shape.join(" x ")}; ${groups} x ${rows} were expected`);
  }
  return { zeros: transposed(wordSource(zeros)), scales: transposed(scales) };
}

/** A row of numbers as weights, (q - zero) × scale, by the group of each column, or by groups of `size` columns. */
export function scaleGroups(
  row: Float32Array,
  scales: Float32Array,
  zeros: Float32Array,
  at: { readonly scale: number; readonly zero: number },
  groups: Uint32Array | number,
): void {
  if (typeof groups !== "number") {
    for (let c = 0; c < row.length; c++) {
      const g = groups[c]!;
      row[c] = scales[at.scale + g]! * (row[c]! - zeros[at.zero + g]!);
    }
    return;
  }
  for (let c = 0, g = 0; c < row.length; g++) {
    const scale = scales[at.scale + g]!;
    const zero = zeros[at.zero + g]!;
    for (const end = Math.min(c + groups, row.length); c < end; c++) row[c] = scale * (row[c]! - zero);
  }
}

/** The group of each column (words [1, in]), or how many follow each other in one. @throws LlqError `bad-input` */
export function groupOfColumns(
  reader: Reader,
  groupCount: number,
  groupSize: number,
  groups: TensorSource | undefined,
): Uint32Array | number {
  if (groups === undefined) return groupSize;
  const group = reader.words(groups, 0, 1).slice();
  const wrong = group.findIndex((g) => g >= groupCount);
  if (wrong < 0) return group;
  const message = t`tensor ${reader.name}: column ${wrong} is in group ${group[wrong]! | 0} of ${groupCount}`;
  throw badInput(message, t`g_idx is damaged, or of another layer`);
}

/** @throws LlqError `unsupported` for fields by which weights would be others, when they are set */
export function refuseOthers(
  parts: Parts,
  settings: Readonly<Record<string, unknown>>,
  names: readonly string[],
): void {
  const set = names.find((name) => settings[name] != null && settings[name] !== false);
  if (set !== undefined) parts.unsupported(t`weights quantized with ${set}`, t`none of it`);
}
