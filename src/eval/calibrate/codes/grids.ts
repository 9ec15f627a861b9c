import type { DTypeName } from "../../../../formats/dtype.js";
import { GUIDED } from "../../../quant/recipes/candidates.js";

/** The codes that a column of a row can have, from its scale and its offset on (assembly/feedback). */
export interface Grid {
  readonly sweep: "sweep_affine" | "sweep_iq4" | "sweep_codebook";
  readonly descent: "descend_affine" | "descend_iq4" | "descend_codebook";
  /** Of codes; or with a codebook, which it is. */
  readonly lo: number;
  readonly hi: number;
  /** Columns that have a code together, or an even number of signs. */
  readonly group: number;
}

const affine = (lo: number, hi: number): Grid => ({
  ...({ sweep: "sweep_affine", descent: "descend_affine" } as const),
  ...{ lo, hi, group: 1 },
});
const iq4: Grid = { sweep: "sweep_iq4", descent: "descend_iq4", lo: 0, hi: 15, group: 1 };
const codebook = (kind: number): Grid => ({
  ...({ sweep: "sweep_codebook", descent: "descend_codebook" } as const),
  ...{ lo: kind, hi: 0, group: 8 },
});

/** Types whose columns are rounded one by one, once a block has its scales. */
const GRIDS: Partial<Record<DTypeName, Grid>> = {
  Q4_0: affine(-8, 7),
  Q4_1: affine(0, 15),
  Q5_0: affine(-16, 15),
  Q5_1: affine(0, 31),
  Q8_0: affine(-127, 127),
  IQ4_NL: iq4,
  IQ4_XS: iq4,
  IQ2_XXS: codebook(0),
  IQ2_XS: codebook(1),
  IQ2_S: codebook(2),
  IQ3_XXS: codebook(3),
  IQ3_S: codebook(4),
  Q2_K: affine(0, 3),
  Q3_K: affine(-4, 3),
  Q4_K: affine(0, 15),
  Q5_K: affine(0, 31),
  Q6_K: affine(-32, 31),
};

/** All types that have one. */
export const GRID_TYPES = Object.keys(GRIDS) as readonly DTypeName[];

/** The grid of a type; undefined when it has none. */
export function gridOf(type: DTypeName): Grid | undefined {
  return GRIDS[type];
}

/** Types that an importance matrix guides, and feedback cannot: beside those that it can they are worth less than their price says. */
export const WITHOUT_GRID: ReadonlySet<DTypeName> = new Set(
  [...GUIDED].filter((type) => GRIDS[type] === undefined),
);

/** Columns that have to stand together in the order in which those of all these types are rounded. */
export function groupOf(types: readonly DTypeName[]): number {
  return Math.max(1, ...types.map((type) => gridOf(type)?.group ?? 1));
}
