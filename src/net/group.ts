import { availableMemory } from "#host/memory";
import { layerMemory } from "./layer.js";
import { prefixOf } from "./mixers/prefix.js";
import type { DecoderPlan } from "./plan/types.js";
import type { ForwardOptions, Session } from "./session.js";
import { hiddenBytes, joinTokens, type Span } from "./span.js";
import { createMeeting } from "./team/exchange.js";
import { exchangedFloats } from "./team/memory.js";
import { PIECE_TOKENS } from "./work.js";

/** Room for the hidden states of the chunks of a group, and how they are shared out. */
export interface GroupSize {
  readonly groupChunks: number;
  readonly jobChunks: number;
  readonly hidden: SharedArrayBuffer;
}

/** The span of these chunks, from the start of `hidden`. */
export function spanOf(
  { hparams, floats, layerInputs }: DecoderPlan,
  hidden: SharedArrayBuffer,
  chunks: readonly Int32Array[],
): Span {
  const { embeddingLength: width, prefixTokens } = hparams;
  const prefixes = prefixTokens && chunks.map((chunk) => prefixOf(chunk, prefixTokens));
  const tokens = layerInputs && joinTokens(chunks);
  const size = { chunks: chunks.length, context: chunks[0]!.length, width, floats };
  return { hidden, first: 0, ...size, prefixes, tokens };
}

/** Tokens that threads exchange at once, of spans that they run together. */
const EXCHANGED = 256;

/**
 * Cuts a group into spans and has each of them run; `firstChunk` counts from the start of the group. Fewer spans than
 * threads would leave some idle: then all of them run each span together.
 */
export async function runGroup(
  { plan, pool }: Session,
  { jobChunks, hidden }: GroupSize,
  group: readonly Int32Array[],
  runSpan: (firstChunk: number, span: Span, own: readonly Int32Array[]) => Promise<void>,
): Promise<void> {
  const step = Math.min(jobChunks, Math.ceil(group.length / Math.max(1, pool.threads)));
  const isShared = Math.ceil(group.length / step) < pool.threads;
  const meeting = isShared ? createMeeting(pool.threads, EXCHANGED * exchangedFloats(plan)) : undefined;
  // The pool takes jobs in order: every span does a layer before one does the next, yet none waits for all.
  const spans = Array.from({ length: Math.ceil(group.length / step) }, (_, i) => {
    const first = i * step;
    const own = group.slice(first, first + step);
    return runSpan(first, { ...spanOf(plan, hidden, own), first, meeting }, own);
  });
  await Promise.all(spans);
}

/** How many chunks are kept at once, and how many of them make a job. At least one, whatever it takes. */
export function fitMemory(
  { plan, pool }: Session,
  count: number,
  context: number,
  { maxMemory = availableMemory() / 2 }: ForwardOptions,
  memoryAfterBlocks: (chunks: number) => number,
): GroupSize {
  const workers = Math.max(1, pool.threads);
  const hidden = hiddenBytes(1, context, plan.floats);
  const working = (chunks: number) => Math.max(layerMemory(plan, chunks, context), memoryAfterBlocks(chunks));
  let jobChunks = Math.max(1, Math.min(Math.floor(PIECE_TOKENS / context), Math.ceil(count / workers)));
  while (jobChunks > 1 && workers * working(jobChunks) > maxMemory / 2) jobChunks--;
  const left = maxMemory - workers * working(jobChunks);
  // When not even one job a thread fits, fewer threads have something to do.
  const fitting =
    left >= workers * jobChunks * hidden
      ? left / hidden
      : maxMemory / (working(jobChunks) / jobChunks + hidden);
  const groupChunks = Math.max(1, Math.min(count, Math.floor(fitting)));
  const shared = new SharedArrayBuffer(hiddenBytes(groupChunks, context, plan.floats));
  return { groupChunks, jobChunks, hidden: shared };
}
