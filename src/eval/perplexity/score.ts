import type { Kernels } from "../../kernels/kernels.js";
import { type Head, headMemory, openHead } from "../../net/head.js";
import { slabsOf } from "../../net/products/streamed.js";
import { aboutSpan, type Span } from "../../net/span.js";
import type { JobKind } from "../../run/threads/messages.js";
import type { Tensor } from "../../tensor.js";
import { type Base, baseMemory, openBase } from "../divergence/base.js";
import type { BaseScores, Likelihood } from "../divergence/comparison.js";
import { createKeeper, type Keep, keepMemory } from "../divergence/keep.js";

/** Work for one thread: how likely the tokens that follow are, after the last block. Plain data. */
export interface ScoreJob extends Head {
  readonly span: Span;
  /** In each chunk, the first position whose next token is scored; there are as many as targets. */
  readonly firstPosition: number;
  /** [chunks][scored]: the tokens that do follow. */
  readonly targets: Int32Array;
  /** What to compare the distributions with. */
  readonly base?: Base | undefined;
  /** What of the distributions to give back. */
  readonly keep?: Keep | undefined;
}

/** One value for each target. */
export interface TokenScores {
  /** -ln p(target) */
  readonly nll: Float64Array;
  /** Whether no token is likelier: 1 or 0. */
  readonly isTop: Uint8Array;
  /** Where there is a base. */
  readonly base?: BaseScores | undefined;
}

export interface ScoreResult extends TokenScores {
  /** For each chunk a record of a baseline file, where they were to be kept. */
  readonly records?: readonly Uint8Array[] | undefined;
  /** What the base took of the time. */
  readonly baseSeconds: number;
}

/** Bytes of a token's running score: largest logit f32, target's logit f32, sum f64 (assembly/ops/scores.ts). */
const SCORE_SIZE = 16;

/** Bytes of kernel memory that scoring takes for so many chunks. */
export function scoreMemory(
  output: Tensor,
  chunks: number,
  scored: number,
  { base, keep }: Pick<ScoreJob, "base" | "keep"> = {},
): number {
  const tokens = chunks * scored;
  const own = headMemory(output, tokens) + tokens * SCORE_SIZE;
  return own + baseMemory(base, output, chunks, scored) + keepMemory(keep, output, tokens);
}

/** The logits exist a slab of the vocabulary at a time; of each token only running sums are kept. */
export function score(job: ScoreJob, kernels: Kernels): ScoreResult {
  kernels.reset();
  const { span, firstPosition, targets } = job;
  const tokens = targets.length;
  const targetIds = kernels.reserve(tokens * 4);
  new Int32Array(kernels.memory.buffer, targetIds, tokens).set(targets);
  const scores = kernels.reserve(tokens * SCORE_SIZE);
  kernels.call("start_scores")(scores, tokens);

  const positions = { span, first: firstPosition, count: tokens / span.chunks };
  const logits = openHead(kernels, job, positions);
  const base = job.base && openBase(kernels, job.base, positions, { ids: targetIds, values: targets });
  const keeper = job.keep && createKeeper(job.keep, job.output, tokens);
  const mark = kernels.mark();
  let baseSeconds = 0;
  for (const [first, rows] of slabsOf(job.output)) {
    const slab = logits(first, rows);
    kernels.call("add_scores")(scores, slab.y, slab.stride, targetIds, tokens, first, rows);
    const started = performance.now();
    base?.add(slab);
    baseSeconds += (performance.now() - started) / 1000;
    keeper?.add(kernels, slab);
    kernels.reset(mark);
  }

  const likelihood = readScores(kernels, scores, tokens);
  return {
    nll: likelihood.nll,
    isTop: likelihood.isTop,
    base: base?.result(likelihood),
    records: keeper?.records(likelihood, span.chunks, kernels),
    baseSeconds,
  };
}

export const scoreJob: JobKind<ScoreJob, ScoreResult> = {
  name: "score",
  run: score,
  about: ({ output, span }) => `tensor ${output.name}, ${aboutSpan(span)}`,
};

function readScores(
  kernels: Kernels,
  scores: number,
  tokens: number,
): Likelihood & Pick<TokenScores, "isTop"> {
  const view = new DataView(kernels.memory.buffer, scores, tokens * SCORE_SIZE);
  const logSum = Float64Array.from({ length: tokens }, (_, i) => {
    const at = i * SCORE_SIZE;
    return view.getFloat32(at, true) + Math.log(view.getFloat64(at + 8, true));
  });
  const nll = logSum.map((sum, i) => sum - view.getFloat32(i * SCORE_SIZE + 4, true));
  const isTop = Uint8Array.from(nll, (_, i) =>
    Number(view.getFloat32(i * SCORE_SIZE, true) === view.getFloat32(i * SCORE_SIZE + 4, true)),
  );
  return { nll, isTop, logSum };
}
