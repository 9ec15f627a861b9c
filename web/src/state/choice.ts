import type { Fit, FitRow } from "../engine/protocol.js";

/** What `llq quantize --bits` stands for, the smallest first. */
export const BITS: readonly (readonly [bits: string, recipe: string])[] = [
  ["2", "Q2_K"],
  ["3", "Q3_K_M"],
  ["4", "Q4_K_M"],
  ["5", "Q5_K_M"],
  ["6", "Q6_K"],
  ["8", "Q8_0"],
];

const USUAL = "Q4_K_M";

/** The rows that most people choose from, the smallest first. */
export function commonRows(fit: Fit): readonly { readonly bits: string; readonly row: FitRow }[] {
  return BITS.flatMap(([bits, recipe]) => {
    const row = fit.rows.find((each) => each.recipe === recipe);
    return row === undefined ? [] : [{ bits, row }];
  });
}

/**
 * What is chosen before anybody has: four bits, and fewer only where those do not fit. More would be better still, but a file
 * that is twice as large also answers half as fast.
 */
export function suggestedRecipe(fit: Fit): string {
  const common = commonRows(fit);
  const usual = common.find(({ row }) => row.recipe === USUAL);
  if (usual?.row.fits) return USUAL;
  const largest = common
    .filter(({ row }) => row.fits && row.weightBytes < (usual?.row.weightBytes ?? Infinity))
    .at(-1);
  return (largest ?? common[0])?.row.recipe ?? fit.suggested ?? USUAL;
}

/** What the file is called: the model's name, made safe for every system, and the mix. */
export function fileName(model: string, recipe: string): string {
  const last = model.split("/").filter(Boolean).at(-1) ?? "model";
  const stem = last
    .replace(/\.(gguf|safetensors)$/i, "")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: names of files must not have them
    .replace(/[\u0000-\u001f\\/:*?"<>|]+/g, "-")
    .replace(/^[.\s]+|[.\s]+$/g, "")
    .slice(0, 120);
  return `${stem || "model"}-${recipe}.gguf`;
}
