import type { Work } from "./block.js";
import { addFeedForward } from "./feed-forward/feed-forward.js";
import { addAttention } from "./mixers/attention.js";
import { normalize } from "./norm.js";
import type { NormPlan, TransformerPlan } from "./plan/decoder.js";
import { spanTokens } from "./span.js";

/** A block of ChatGLM-6B: n = norm(x), x = alpha n + attention(n), and the same again with the feed-forward. */
export function runGlm(work: Work<TransformerPlan>, x: number): void {
  const { attention, feedForward } = work.layer;
  const bare: Work<TransformerPlan> = {
    ...work,
    layer: {
      ...work.layer,
      attention: { ...attention, norm: undefined },
      feedForward: { ...feedForward, norm: undefined },
    },
  };
  const mark = work.kernels.mark();
  addAttention(bare, normedResidual(work, attention.norm!, x), x);
  work.kernels.reset(mark);
  addFeedForward(bare, normedResidual(work, feedForward.norm!, x), x);
  work.kernels.reset(mark);
}

/** Returns n = norm(x), and makes x alpha n. The memory is the caller's to give back. */
function normedResidual(work: Work, norm: NormPlan, x: number): number {
  const { kernels, span, traits } = work;
  const tokens = spanTokens(span);
  const floats = tokens * span.width;
  const n = kernels.reserve(floats * 4);
  normalize(work, norm, x, n, tokens);
  kernels.bytes(x, floats * 4).set(kernels.bytes(n, floats * 4));
  kernels.call("scale")(x, floats, traits.residualScale!);
  return n;
}
