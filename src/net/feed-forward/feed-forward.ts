import { rowLength } from "../../tensor.js";
import { addProduct, normed, piecesOf, type Work } from "../block.js";
import type { MlpPlan, TransformerPlan } from "../plan/decoder.js";
import { addMixture } from "./experts.js";
import { mlpHidden } from "./mlp.js";

/** x += feedForward(norm(from)) */
export function addFeedForward(work: Work<TransformerPlan>, from: number, x: number): void {
  const { kernels, span, layer } = work;
  const { norm, mlp, mixture, postNorm } = layer.feedForward;
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(span)) {
    const at = first * span.width * 4;
    const n = normed(work, norm, from + at, count, "ffn_norm");
    if (mlp !== undefined) addMlp(work, mlp, n, x + at, count);
    if (mixture !== undefined) addMixture(work, mixture, postNorm, n, x + at, { first, count });
    kernels.reset(mark);
  }
}

function addMlp(work: Work<TransformerPlan>, mlp: MlpPlan, n: number, x: number, tokens: number): void {
  const h = mlpHidden(work, mlp, n, tokens);
  work.squares?.add("ffn_down", h, tokens, rowLength(mlp.down.weight));
  addProduct(work, mlp.down, work.layer.feedForward.postNorm, h, x, tokens);
}
