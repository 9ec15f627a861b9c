import { t } from "../../language/t.js";

/** A row of what --type takes: bits a weight and GiB of weights for a model of 7B (Llama 2), as llq fit reckons them. */
export type TypeHelp = readonly [name: string, bits: number, gib: number, when: string];

/** Largest first; what wants an import { t } from "../../language/t.js";
importance matrix says so. */
// biome-ignore format: one line a type
export const TYPE_HELP: readonly TypeHelp[] = [
  ["F32",       32.00, 25.10, t`all weights in f32; for checks`],
  ["F16",       16.00, 12.55, t`half precision; a source for other tools`],
  ["BF16",      16.00, 12.55, t`as most models are published`],
  ["Q8_0",       8.50,  6.67, t`hardly to be told from the original`],
  ["MXFP4_MOE",  8.50,  6.67, t`gpt-oss and other mixtures: MXFP4 experts, the rest in Q8_0`],
  ["Q6_K",       6.56,  5.15, t`very near the original`],
  ["Q5_K_M",     5.68,  4.45, t`where memory allows more than 4 bits`],
  ["Q5_K_S",     5.52,  4.33, t`slightly smaller`],
  ["Q4_K_M",     4.84,  3.80, t`the usual choice (--bits 4)`],
  ["Q4_K_S",     4.58,  3.59, t`slightly smaller`],
  ["IQ4_NL",     4.57,  3.58, t`rows that are no multiple of 256`],
  ["NVFP4",      4.54,  3.56, t`hardware that multiplies it`],
  ["IQ4_XS",     4.33,  3.40, t`near Q4_K_S, and smaller; best with --imatrix`],
  ["Q3_K_L",     4.27,  3.35, t`3 bits, with more for what matters`],
  ["Q3_K_M",     3.91,  3.07, t`when 4 bits do not fit (--bits 3)`],
  ["IQ3_M",      3.70,  2.90, t`better than Q3_K_S with --imatrix`],
  ["Q3_K_S",     3.50,  2.75, t`smaller still; --imatrix helps`],
  ["IQ3_S",      3.50,  2.75, t`better than Q3_K_S with --imatrix`],
  ["IQ3_XS",     3.32,  2.60, t`needs --imatrix`],
  ["IQ3_XXS",    3.21,  2.52, t`needs --imatrix`],
  ["Q2_K",       3.01,  2.36, t`a last resort without --imatrix (--bits 2)`],
  ["IQ2_M",      2.80,  2.20, t`needs --imatrix; large models on small machines`],
  ["Q2_K_S",     2.75,  2.16, t`needs --imatrix`],
  ["IQ2_S",      2.61,  2.05, t`needs --imatrix`],
  ["IQ2_XS",     2.42,  1.89, t`needs --imatrix`],
  ["IQ2_XXS",    2.20,  1.73, t`needs --imatrix; very large models`],
  ["IQ1_M",      1.96,  1.54, t`needs --imatrix; better than nothing (--bits 1)`],
  ["IQ1_S",      1.81,  1.42, t`needs --imatrix; the smallest`],
  ["Q4_0",       4.54,  3.56, t`old and simple; Q4_K_S is better at this size`],
  ["Q4_1",       5.03,  3.95, t`old; Q4_K_M is better and smaller`],
  ["Q5_0",       5.52,  4.33, t`old; Q5_K_S is better at this size`],
  ["Q5_1",       6.01,  4.72, t`old; Q5_K_M is better and smaller`],
  ["TQ2_0",      2.20,  1.72, t`only for models trained with ternary weights, such as BitNet`],
  ["TQ1_0",      1.84,  1.44, t`the same, packed tighter`],
  ["Q2_0",       2.38,  1.87, t`only for models trained for it`],
  ["Q1_0",       1.23,  0.97, t`only for models trained with weights of one bit`],
];

/** For --help: columns of each type, its size, and when to take it. */
export function typeHelp(): string {
  const lines = TYPE_HELP.map(([name, bits, gib, when]) =>
    [name.padEnd(10), bits.toFixed(2).padStart(5), gib.toFixed(2).padStart(6), ` ${when}`].join("  "),
  );
  return [t`Types, bits a weight, GiB of a 7B model, and when to take them:`, ...lines].join("\n  ");
}
