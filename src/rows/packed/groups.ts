import type { TensorSource } from "../../../formats/container.js";
import { transposed } from "../transposed.js";
import { type Parts, wordSource } from "./parts.js";

// Whole numbers in 32-bit words, with a zero and a scale for each group of columns, all of it [in, out] in the file: what
// GPTQ and AWQ share.

/** The module whose numbers a tensor holds. */
export function weightOfQweight(name: string): string | undefined {
  return /^(.*)\.qweight$/.exec(name)?.[1]?.concat(".weight");
}

/** Sources as the weight has them, a line for each row: zeros [out / pack, groups] of words and scales [out, groups]. */
export function groupTables(
  parts: Parts,
  stem: string,
  rows: number,
  groups: number,
  pack: number,
): { zeros: TensorSource; scales: TensorSource } {
  const [zeros, scales] = [parts.raw(`${stem}.qzeros`), parts.take(`${stem}.scales`)];
  if (zeros === undefined || scales === undefined) return parts.fail(`${stem} has no qzeros or no scales`);
  const shapeOfZeros = parts.integers(`${stem}.qzeros`, zeros, 2);
  if (rows % pack !== 0 || shapeOfZeros.join() !== [groups, rows / pack].join()) {
    parts.fail(
      `${stem}.qzeros is ${zeros.shape.join(" x ")}; ${groups} groups of ${rows} rows were expected`,
    );
  }
  if (scales.shape.join() !== [groups, rows].join()) {
    parts.fail(`${stem}.scales is ${scales.shape.join(" x ")}; ${groups} x ${rows} were expected`);
  }
  return { zeros: transposed(wordSource(zeros)), scales: transposed(scales) };
}
