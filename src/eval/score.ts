import type { Kernels } from "../run/kernels.js";
import type { Descriptors } from "../run/rows.js";
import { rowLength, type Tensor } from "../tensor.js";
import { multiplySlab, packInput, readVector, slabMemory, slabsOf } from "./matmul.js";
import { hiddenStates, type Span } from "./span.js";

/** Work for one thread: how likely the tokens that follow are, after the last block. Plain data. */
export interface ScoreJob {
  readonly kind: "score";
  readonly files: Descriptors;
  readonly span: Span;
  readonly epsilon: number;
  readonly output_norm: Tensor;
  readonly output: Tensor;
  /** In each chunk, the first position whose next token is scored; the last one is context - 2. */
  readonly firstPosition: number;
  /** [chunks][context - 1 - firstPosition]: the tokens that do follow. */
  readonly targets: Int32Array;
}

export interface ScoreResult {
  /** -ln p(target), one for each target. */
  readonly nll: Float64Array;
}

/** Bytes of a token's running score: largest logit f32, target's logit f32, sum f64 (assembly/scores.ts). */
const SCORE_SIZE = 16;

/** Bytes of kernel memory that scoring takes for so many targets. */
export function scoreMemory(output: Tensor, targets: number): number {
  return targets * (8 * rowLength(output) + SCORE_SIZE) + slabMemory(output, targets);
}

/** The logits exist a slab of the vocabulary at a time; of each token only a running sum is kept. */
export function score(job: ScoreJob, kernels: Kernels): ScoreResult {
  kernels.reset();
  const { files, span, targets } = job;
  const tokens = targets.length;
  const targetIds = kernels.reserve(tokens * 4);
  new Int32Array(kernels.memory.buffer, targetIds, tokens).set(targets);
  const scores = kernels.reserve(tokens * SCORE_SIZE);
  kernels.call("start_scores")(scores, tokens);

  const x = loadScored(job, kernels);
  const norm = readVector(kernels, files, job.output_norm);
  kernels.call("rms_norm")(x, norm, x, tokens, span.width, job.epsilon);
  const input = packInput(kernels, x, tokens, span.width);
  const mark = kernels.mark();
  const linear = { weight: job.output, bias: undefined };
  for (const [first, rows] of slabsOf(job.output)) {
    const { y, stride } = multiplySlab(kernels, files, linear, input, first, rows);
    kernels.call("add_scores")(scores, y, stride, targetIds, tokens, first, rows);
    kernels.reset(mark);
  }

  const view = new DataView(kernels.memory.buffer, scores, tokens * SCORE_SIZE);
  const nll = Float64Array.from({ length: tokens }, (_, i) => {
    const at = i * SCORE_SIZE;
    const [largest, logit] = [view.getFloat32(at, true), view.getFloat32(at + 4, true)];
    return largest + Math.log(view.getFloat64(at + 8, true)) - logit;
  });
  return { nll };
}

/** The hidden states of the scored positions only, one after the other. */
function loadScored({ span, firstPosition }: ScoreJob, kernels: Kernels): number {
  const states = hiddenStates(span);
  const { chunks, context, width } = span;
  const perChunk = (context - 1 - firstPosition) * width;
  const x = kernels.reserve(chunks * perChunk * 4);
  const scored = kernels.floats(x, chunks * perChunk);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const from = (chunk * context + firstPosition) * width;
    scored.set(states.subarray(from, from + perChunk), chunk * perChunk);
  }
  return x;
}
