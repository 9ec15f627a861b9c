import { rowLength } from "../../tensor.js";
import { normalize } from "../norm.js";
import type { FeedForwardPlan, Half } from "../plan/types.js";
import { addProduct, normed, piecesOf, type Work } from "../work.js";
import { addMixture } from "./experts.js";
import { mlpHidden, mlpMemory } from "./mlp.js";

/** x += postNorm(feedForward(norm(from))) */
export function addFeedForward(work: Work, half: Half<FeedForwardPlan>, from: number, x: number): void {
  const { kernels, batch } = work;
  const { norm, postNorm } = half;
  const { mlp, mixture } = half.plan;
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const at = first * batch.width * 4;
    const n = normed(work, norm, from + at, count, "ffn_norm");
    if (mlp !== undefined) {
      const h = mlpHidden(work, mlp, n, count);
      const { subNorm } = mlp;
      if (subNorm !== undefined) normalize(work, subNorm, h, h, count);
      work.squares?.add("ffn_down", h, count, rowLength(mlp.down.weight));
      addProduct(work, mlp.down, postNorm, h, x + at, count);
    }
    if (mixture !== undefined) addMixture(work, mixture, postNorm, n, x + at, { first, count });
    kernels.reset(mark);
  }
}

/** Bytes of kernel memory beside the hidden states, for `piece` tokens at once. */
export function feedForwardMemory({ mlp, mixture }: FeedForwardPlan, width: number, piece: number): number {
  const mlps = [mlp, mixture?.experts[0], mixture?.shared].filter((each) => each !== undefined);
  return Math.max(...mlps.map((each) => mlpMemory(each, piece))) + 4 * 3 * piece * width;
}
