import type { Role } from "../../role.js";
import type { Tensor } from "../../tensor.js";
import { useMoreBits } from "../recipes/conditions.js";

/**
 * What a weight of each kind is worth next to one of another, as llama.cpp's mixes see it: they give attn_v more bits
 * first, then ffn_down, then attn_output (Q3_K_M, Q3_K_L).
 */
const PRIORS: Partial<Record<Role, number>> = { output: 12, attn_v: 4, ffn_down: 3, attn_output: 2 };

/** How much more the first layers are worth (Q4_K_S), and those that Q4_K_M favours: every third and the last. */
const FIRST = 3;
const FAVOURED = 2;
const BY_LAYER: ReadonlySet<Role> = new Set(["attn_v", "ffn_down"]);

/**
 * How much a relative squared error of one weight of a tensor weighs, without a measurement.
 * @param kind the role whose rules apply (settleTypes)
 */
export function priorOf(kind: Role, { layer }: Pick<Tensor, "layer">, layers: number): number {
  const prior = PRIORS[kind] ?? 1;
  if (layer === undefined || !BY_LAYER.has(kind)) return prior;
  const first = kind === "attn_v" ? 4 : Math.floor(layers / 8);
  if (layer < first) return prior * FIRST;
  return useMoreBits({ i: layer, n: layers }) ? prior * FAVOURED : prior;
}
