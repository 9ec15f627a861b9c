import { type DTypeName, dtype } from "../../../formats/dtype.js";
import { rowLength, type Tensor } from "../../tensor.js";
import { fitRow } from "./choose.js";

/**
 * The types worth a choice, the smallest first. Others of their sizes (Q4_0, Q4_1, IQ4_NL, Q5_0, Q5_1) lose to them
 * wherever rows hold blocks of 256; where they do not, the fallbacks bring them in.
 */
const LADDER: readonly DTypeName[] = ["Q2_K", "Q3_K", "IQ4_XS", "Q4_K", "Q5_K", "Q6_K", "Q8_0"];

/** Types that are useless without an importance matrix; llama-quantize writes none of them without. */
export const GUIDED: ReadonlySet<DTypeName> = new Set([
  ...(["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS"] as const),
]);

/** The ladder of a tensor that an importance matrix has an entry of: at their sizes codebooks lose least then. */
const GUIDED_LADDER: readonly DTypeName[] = [...GUIDED, "IQ3_S", ...LADDER];

/** The types worth a choice for a tensor that an importance matrix guides, or does not. */
export function ladderOf(isGuided: boolean): readonly DTypeName[] {
  return isGuided ? GUIDED_LADDER : LADDER;
}

/** The types of the ladder that the tensor's rows can hold, or what they fall back to: each once. */
export function candidatesFor(
  tensor: Pick<Tensor, "shape">,
  ladder: readonly DTypeName[] = LADDER,
): DTypeName[] {
  return [...new Set(ladder.map((name) => fitRow(name, rowLength(tensor), "").dtype))];
}

/** Whether a type rounds: what is stored as floats loses too little to be measured. */
export function rounds(name: DTypeName): boolean {
  return dtype(name).blockSize > 1;
}
