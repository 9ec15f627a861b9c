import { availableMemory } from "#host/memory";
import { elementCount } from "../../../formats/dtype.js";
import type { Model } from "../../model.js";
import { countWork, prepareBlocks, runBlocks } from "../../net/blocks.js";
import { fitMemory, type GroupSize, runGroup, spanOf } from "../../net/group.js";
import type { Head } from "../../net/head.js";
import { type MeasureOptions, type Session, withSession } from "../../net/session.js";
import { joinTokens, type Span } from "../../net/span.js";
import type { WorkerPool } from "../../run/threads/pool.js";
import type { Base } from "../divergence/base.js";
import type { BaselineFile } from "../divergence/baseline-record.js";
import type { Keep } from "../divergence/keep.js";
import { type ScoreJob, type ScoreResult, scoreJob, scoreMemory, type TokenScores } from "./score.js";

export interface ScoreOptions extends MeasureOptions {
  /** In each chunk, the first position whose next token is scored. */
  readonly firstPosition: number;
  /** For each chunk the token behind its last, to score that position too. */
  readonly following?: Int32Array | undefined;
  /** What to compare the distributions with: another model, or a file's records, one for each chunk. */
  readonly base?: Model | BaselineFile | undefined;
  /** What of the distributions to hand over as records of a baseline file. */
  readonly keep?: Keep | undefined;
  /** Called once for each chunk, in any order. */
  readonly onChunk: (chunk: number, scores: ChunkScores) => void;
  /** Numbers of chunks after which `isEnough` is asked whether the rest can be left out. */
  readonly looks?: readonly number[] | undefined;
  readonly isEnough?: ((chunks: number) => boolean) | undefined;
}

/** What is said of the scored tokens of a chunk. */
export interface ChunkScores extends TokenScores {
  readonly record?: Uint8Array | undefined;
}

/**
 * Runs chunks of tokens, all of one length, through the model and scores the tokens that follow.
 *
 * Layers are streamed. The hidden states of as many chunks as memory allows (a group) stay in memory, and every
 * layer is read for all of them before the next is touched: a model larger than the memory is read from the disk
 * once a group. Jobs are some chunks in one layer; a thread needs nothing of another, so the result is the same
 * for every number of threads. A base model goes through its layers beside it, and both distributions meet slab
 * by slab in the job that scores them.
 */
export async function scoreChunks(
  model: Model,
  chunks: readonly Int32Array[],
  options: ScoreOptions,
): Promise<void> {
  await withSession(model, options, async (session, open) => {
    const { base } = options;
    const other = base === undefined || "form" in base ? undefined : open(base);
    await scoreGroups(session, other, chunks, options);
  });
}

/** As scoreChunks, with models that are open already. */
export async function scoreGroups(
  session: Session,
  other: Session | undefined,
  chunks: readonly Int32Array[],
  options: ScoreOptions,
): Promise<void> {
  const { pool } = session;
  const { firstPosition, following, looks = [], isEnough, keep } = options;
  const context = chunks[0]!.length;
  const scored = scoredOf(context, options);
  const { size, otherSize } = fitBoth(session, other, chunks.length, context, options);
  const blocks = prepareBlocks(session, context);
  const otherBlocks = other && prepareBlocks(other, context);
  const scoreWork = (outputSize(session) + (other === undefined ? 0 : outputSize(other))) * scored;
  const chunkWork = blocks.chunkWork + (otherBlocks?.chunkWork ?? 0) + scoreWork;
  const advance = countWork(chunks.length * chunkWork, options);

  const scoreSpan = async (firstChunk: number, span: Span, own: readonly Int32Array[]) => {
    await runBlocks(session, blocks, span, own, advance);
    let base = baseRecords(options.base, firstChunk, own.length);
    if (other !== undefined && otherBlocks !== undefined && otherSize !== undefined) {
      const otherSpan = { ...spanOf(other.plan, otherSize.hidden, own), first: span.first };
      await runBlocks(other, otherBlocks, otherSpan, own, advance);
      base = { form: "model", head: headOf(other), span: otherSpan };
    }
    const ownTargets = own.flatMap((chunk, i) => {
      const at = firstChunk + i;
      return [chunk.subarray(firstPosition + 1), following?.subarray(at, at + 1) ?? new Int32Array()];
    });
    const targets = joinTokens(ownTargets);
    const job = { ...headOf(session), span, firstPosition, targets, base, keep } as const;
    const result = await runScore(pool, job);
    advance(scoreWork * span.chunks);
    own.forEach((_, i) => {
      options.onChunk(firstChunk + i, scoresOfChunk(result, i, scored));
    });
  };

  let first = 0;
  for (const end of [...looks.filter((look) => look < chunks.length), chunks.length]) {
    while (first < end) {
      const group = chunks.slice(first, Math.min(end, first + size.groupChunks));
      const start = first;
      await runGroup(session, size, group, (at, span, own) => scoreSpan(start + at, span, own));
      first += group.length;
    }
    if (isEnough?.(end)) return;
  }
}

/** Positions of a chunk whose next tokens are scored. */
function scoredOf(context: number, { firstPosition, following }: ScoreOptions): number {
  return context - (following === undefined ? 1 : 0) - firstPosition;
}

/**
 * Scores a span: in one job, or, where all threads run the span together, in one for each that has some of the positions.
 * Records of whole chunks are neither cut nor joined.
 */
async function runScore(pool: WorkerPool, job: ScoreJob): Promise<ScoreResult> {
  const { span, firstPosition, targets, base, keep } = job;
  if (span.meeting === undefined || base !== undefined || keep !== undefined) return pool.run(scoreJob, job);
  const scored = targets.length / span.chunks;
  const step = Math.ceil(scored / pool.threads);
  const nll = new Float64Array(targets.length);
  const isTop = new Uint8Array(targets.length);
  let baseSeconds = 0;
  const parts = Array.from({ length: Math.ceil(scored / step) }, async (_, i) => {
    const [from, to] = [i * step, Math.min(scored, (i + 1) * step)];
    const rows = Array.from({ length: span.chunks }, (_, chunk) => chunk * scored);
    const own = joinTokens(rows.map((row) => targets.subarray(row + from, row + to)));
    const part = await pool.run(scoreJob, { ...job, firstPosition: firstPosition + from, targets: own });
    baseSeconds += part.baseSeconds;
    for (const [chunk, row] of rows.entries()) {
      const [first, end] = [chunk * (to - from), (chunk + 1) * (to - from)];
      nll.set(part.nll.subarray(first, end), row + from);
      isTop.set(part.isTop.subarray(first, end), row + from);
    }
  });
  await Promise.all(parts);
  return { nll, isTop, baseSeconds };
}

/** Room for the chunks of a group in the model, and in the one it is compared with. */
function fitBoth(
  session: Session,
  other: Session | undefined,
  count: number,
  context: number,
  options: ScoreOptions,
): { size: GroupSize; otherSize: GroupSize | undefined } {
  const { keep, maxMemory = availableMemory() / 2 } = options;
  const base = baseRecords(options.base, 0, count);
  const scored = scoredOf(context, options);
  const memory = (chunks: number) => scoreMemory(session.plan.head.output, chunks, scored, { base, keep });
  if (other === undefined) {
    return { size: fitMemory(session, count, context, options, memory), otherSize: undefined };
  }
  const half = { ...options, maxMemory: maxMemory / 2 };
  const otherMemory = (chunks: number) => scoreMemory(other.plan.head.output, chunks, scored);
  const size = fitMemory(session, count, context, half, memory);
  const otherSize = fitMemory(other, count, context, half, otherMemory);
  const groupChunks = Math.min(size.groupChunks, otherSize.groupChunks);
  const jobChunks = Math.min(size.jobChunks, otherSize.jobChunks);
  return { size: { ...size, groupChunks, jobChunks }, otherSize };
}

/** Multiply-adds for a token's logits. */
export function outputSize({ plan }: Session): number {
  return elementCount(plan.head.output.shape);
}

/** What turns a model's last hidden states into logits. */
export function headOf({ plan, files, activations }: Session): Head {
  return { files, activations, ...plan.head };
}

/** The records of some chunks, if the base is a file. */
function baseRecords(base: ScoreOptions["base"], first: number, count: number): Base | undefined {
  if (base === undefined || !("form" in base)) return undefined;
  return { ...base, records: base.records.slice(first, first + count) };
}

/** One chunk of a span that was scored. */
export function scoresOfChunk(
  { nll, isTop, base, records }: ScoreResult,
  chunk: number,
  scored: number,
): ChunkScores {
  const [from, to] = [chunk * scored, (chunk + 1) * scored];
  return {
    nll: nll.subarray(from, to),
    isTop: isTop.subarray(from, to),
    base: base && {
      nll: base.nll.subarray(from, to),
      kld: base.kld.subarray(from, to),
      sameTop: base.sameTop.subarray(from, to),
    },
    record: records?.[chunk],
  };
}
