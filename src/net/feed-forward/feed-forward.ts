import { rowCount, rowLength } from "../../tensor.js";
import { besideExperts } from "../inputs.js";
import { normalize } from "../norm.js";
import type { ExpertsPlan, FeedForwardPlan, Half, MlpPlan, NormPlan } from "../plan/types.js";
import { slabMemory } from "../products/matmul.js";
import { addProduct, normed, piecesOf, type Work } from "../work.js";
import { addMixture } from "./experts.js";
import { mlpHidden, mlpMemory } from "./mlp.js";

/** x += postNorm(feedForward(norm(from))) */
export function addFeedForward(work: Work, half: Half<FeedForwardPlan>, from: number, x: number): void {
  const { kernels, batch } = work;
  const { norm, postNorm } = half;
  const { mlp, mixture, mlpNorm } = half.plan;
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const at = first * batch.width * 4;
    const n = normed(work, norm, from + at, count, "ffn_norm");
    if (mlp !== undefined && mixture !== undefined) {
      const floats = count * batch.width;
      const sum = kernels.reserve(floats * 4);
      kernels.bytes(sum, floats * 4).fill(0);
      const inner = kernels.mark();
      addMlp(work, mlp, mlpNorm, n, sum, count);
      kernels.reset(inner);
      const seen = seenByExperts(work, mixture, from + at, n, count);
      addMixture(work, mixture, mixture.postNorm, { from: from + at, n: seen }, sum, { first, count });
      kernels.reset(inner);
      if (postNorm !== undefined) normalize(work, postNorm, sum, sum, count);
      kernels.call("add_columns")(sum, 0, x + at, 0, 1, floats);
    } else if (mlp !== undefined) addMlp(work, mlp, postNorm, n, x + at, count);
    else if (mixture !== undefined) {
      addMixture(work, mixture, postNorm, { from: from + at, n }, x + at, { first, count });
    }
    kernels.reset(mark);
  }
}

/** x += norm(mlp(n)) for `tokens` rows. */
function addMlp(
  work: Work,
  mlp: MlpPlan,
  norm: NormPlan | undefined,
  n: number,
  x: number,
  tokens: number,
): void {
  const h = mlpHidden(work, mlp, n, tokens);
  const { subNorm } = mlp;
  if (subNorm !== undefined) normalize(work, subNorm, h, h, tokens);
  work.squares?.add("ffn_down", h, tokens, rowLength(mlp.down.weight));
  addProduct(work, mlp.down, norm, h, x, tokens);
}

/** What the MLP beside them sees, n; or their own norm of the hidden states. */
function seenByExperts(work: Work, mixture: ExpertsPlan, from: number, n: number, tokens: number): number {
  const { kernels, batch } = work;
  if (mixture.norm === undefined) return n;
  const y = kernels.reserve(tokens * batch.width * 4);
  normalize(work, mixture.norm, from, y, tokens);
  if (besideExperts(mixture).length > 0) work.squares?.add("ffn_norm_2", y, tokens, batch.width);
  return y;
}

/** Bytes of kernel memory beside the hidden states, for `piece` tokens at once. */
export function feedForwardMemory({ mlp, mixture }: FeedForwardPlan, width: number, piece: number): number {
  const mlps = [mlp, mixture?.experts[0], mixture?.shared].filter((each) => each !== undefined);
  const states = mlp !== undefined && mixture !== undefined ? 6 : 3;
  const { latent } = mixture ?? {};
  const latents =
    latent && 4 * 2 * piece * rowCount(latent.down.weight) + slabMemory(latent.up.weight, piece);
  return (
    Math.max(...mlps.map((each) => mlpMemory(each, piece))) + 4 * states * piece * width + (latents ?? 0)
  );
}
