import { rowLength } from "../tensor.js";
import { mixerOf } from "./mixers/index.js";
import type { ExpertsPlan, FeedForwardPlan, LayerPlan, Linear } from "./plan/types.js";

/** The matrices that take an input. Of experts it is those of the first, whose names stand for all. */
export interface InputPlan {
  readonly matrices: readonly Linear[];
  readonly columns: number;
  /** Experts that each get some of the tokens; 0 when all go through all matrices. */
  readonly experts: number;
}

/** The matrices of a layer, by what goes into them. */
export function inputsOf({ mixer, feedForward, input: own }: LayerPlan): ReadonlyMap<string, InputPlan> {
  const inputs = new Map<string, InputPlan>();
  const set = (input: string, matrices: readonly (Linear | undefined)[], experts = 0) => {
    const present = matrices.filter((each) => each !== undefined);
    inputs.set(input, { matrices: present, columns: rowLength(present[0]!.weight), experts });
  };
  for (const [input, matrices, each] of mixerOf(mixer.plan).inputs(mixer.plan)) set(input, matrices, each);
  if (feedForward !== undefined) setFeedForward(feedForward.plan, set);
  if (own !== undefined) {
    set("layer_input", [own.gate]);
    set("layer_projection", [own.projection]);
  }
  return inputs;
}

function setFeedForward(
  { mlp, mixture }: FeedForwardPlan,
  set: (input: string, matrices: readonly (Linear | undefined)[], experts?: number) => void,
): void {
  const before = mlp === undefined ? [] : [mlp.gate, mlp.up];
  if (mixture === undefined) set("ffn_norm", before);
  else {
    const { norm, routerNorm, router, experts, latent, shared } = mixture;
    const { gate, up, down } = experts[0]!;
    const seen = besideExperts(mixture);
    if (norm === undefined) set("ffn_norm", [...before, ...seen]);
    else {
      set("ffn_norm", before);
      if (seen.length > 0) set("ffn_norm_2", seen);
    }
    if (routerNorm !== undefined) set("router", [router]);
    set("experts", [gate, up], experts.length);
    set("experts_down", [down], experts.length);
    if (latent !== undefined) set("latent_up", [latent.up]);
    if (shared !== undefined) set("shared_down", [shared.down]);
  }
  if (mlp !== undefined) set("ffn_down", [mlp.down]);
}

/** The matrices of a mixture that see what its experts do, for all tokens. */
export function besideExperts({ routerNorm, router, latent, shared, sharedRouter }: ExpertsPlan): Linear[] {
  const own = routerNorm === undefined ? router : undefined;
  return [own, sharedRouter, latent?.down, shared?.gate, shared?.up].filter((each) => each !== undefined);
}

/** How many numbers are kept of an input: a sum for each column, of each expert; then the experts' tokens. */
export function squaresLength({ columns, experts }: Pick<InputPlan, "columns" | "experts">): number {
  return experts === 0 ? columns : experts * (columns + 1);
}
