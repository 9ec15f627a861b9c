import type { Work } from "../../work.js";
import { placeOfHeads } from "./alibi.js";
import { gateHeads, type Heads, widthsOf } from "./heads.js";
import type { AttentionPlan } from "./plan.js";

/** Scores of a block of queries, for each token (attention_scratch). */
export const SCORE_FLOATS = 64;

/** Each chunk sees itself only. A thread does some of the queries' heads. */
export function attendWhole(work: Work, plan: AttentionPlan, heads: Heads): void {
  const { kernels, weights, batch } = work;
  const mark = kernels.mark();
  const { keyLength, valueLength } = plan;
  const { chunks, context } = batch;
  const width = widthsOf(plan);
  const [first, count] = weights.share(plan.heads);
  const scratch = kernels.reserve(kernels.call("attention_scratch")(context, keyLength, valueLength));
  const { slopes, sinks } = placeOfHeads(work, plan);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const at = chunk * context * 4;
    kernels.call("attention")(
      heads.q + at * width.q,
      heads.k + at * width.k,
      heads.v + at * width.v,
      heads.o + at * width.o,
      context,
      plan.heads,
      plan.headsKv,
      keyLength,
      valueLength,
      plan.scale,
      plan.softcap,
      slopes,
      sinks,
      plan.window,
      Number(plan.chunked),
      batch.prefixes?.[chunk]?.length ?? 0,
      scratch,
      first,
      count,
    );
  }
  kernels.reset(mark);
  const columns = [first * valueLength, count * valueLength] as const;
  gateHeads(work, plan, heads, columns);
  const part = { y: heads.o, width: width.o, first: columns[0], count: columns[1] };
  weights.exchange(kernels, chunks * context, [part]);
}
