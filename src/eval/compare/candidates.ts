import { availableMemory } from "#host/memory";
import type { Model } from "../../model.js";
import { type Blocks, countWork, prepareBlocks, runBlocks } from "../../net/blocks.js";
import { fitMemory, type GroupSize, runGroup, spanOf } from "../../net/group.js";
import { type MeasureOptions, type Session, withSession } from "../../net/session.js";
import { joinTokens } from "../../net/span.js";
import { type ChunkScores, headOf, outputSize, scoresOfChunk } from "../perplexity/forward.js";
import { scoreJob, scoreMemory } from "../perplexity/score.js";

export interface CandidatesOptions extends MeasureOptions {
  /** In each chunk, the first position whose next token is scored. */
  readonly firstPosition: number;
  /** Called once for each candidate and chunk, the chunks in any order. */
  readonly onChunk: (candidate: number, chunk: number, scores: ChunkScores) => void;
}

/** Seconds that each model took by itself. */
export interface Timings {
  readonly base: number;
  readonly candidates: readonly number[];
}

/**
 * Scores several models on the same chunks, each against the base. A group of chunks goes through all layers of the
 * base, whose hidden states then stay in memory while the candidates take their turns: the base's layers are
 * computed once however many candidates there are, and only its output matrix is multiplied again for each. What
 * would have to be kept otherwise are its distributions, which are larger by vocabulary / width. As each model has
 * the machine for itself, its time can be told.
 */
export async function scoreCandidates(
  base: Model,
  candidates: readonly Model[],
  chunks: readonly Int32Array[],
  options: CandidatesOptions,
): Promise<Timings> {
  return withSession(base, options, (session, open) =>
    scoreTurns(session, candidates.map(open), chunks, options),
  );
}

async function scoreTurns(
  base: Session,
  candidates: readonly Session[],
  chunks: readonly Int32Array[],
  options: CandidatesOptions,
): Promise<Timings> {
  const context = chunks[0]!.length;
  const scored = context - 1 - options.firstPosition;
  const sizes = fitTurns(base, candidates, chunks.length, scored, context, options);
  const baseBlocks = prepareBlocks(base, context);
  const turns = candidates.map((session) => ({ session, blocks: prepareBlocks(session, context) }));
  const scoreWork = (session: Session) => (outputSize(session) + outputSize(base)) * scored;
  const work = turns.map(({ session, blocks }) => blocks.chunkWork + scoreWork(session));
  const chunkWork = work.reduce((sum, one) => sum + one, baseBlocks.chunkWork);
  const advance = countWork(chunks.length * chunkWork, options);
  const seconds = { base: 0, candidates: candidates.map(() => 0) };

  for (let first = 0; first < chunks.length; first += sizes.base.groupChunks) {
    const group = chunks.slice(first, first + sizes.base.groupChunks);
    seconds.base += await time(() =>
      runGroup(base, sizes.base, group, (_, span, own) => runBlocks(base, baseBlocks, span, own, advance)),
    );
    for (const [i, turn] of turns.entries()) {
      let baseSeconds = 0;
      const onScored = (at: number, chunk: ChunkScores) => options.onChunk(i, first + at, chunk);
      const whole = await time(async () => {
        baseSeconds = await takeTurn(turn, base, sizes, group, { ...options, scored, advance, onScored });
      });
      // Threads work side by side; what one spends on the base, all do.
      const share = baseSeconds / Math.max(1, base.pool.threads);
      seconds.candidates[i]! += whole - share;
      seconds.base += share / candidates.length;
    }
  }
  return seconds;
}

interface TurnOptions {
  readonly firstPosition: number;
  readonly scored: number;
  readonly advance: (work: number) => void;
  readonly onScored: (chunk: number, scores: ChunkScores) => void;
}

/** Has a candidate score a group that the base has been through. Returns the thread-seconds the base took of it. */
async function takeTurn(
  { session, blocks }: { readonly session: Session; readonly blocks: Blocks },
  base: Session,
  sizes: Sizes,
  group: readonly Int32Array[],
  { firstPosition, scored, advance, onScored }: TurnOptions,
): Promise<number> {
  let baseSeconds = 0;
  await runGroup(session, sizes.candidates, group, async (first, span, own) => {
    await runBlocks(session, blocks, span, own, advance);
    const baseSpan = { ...spanOf(base.plan, sizes.base.hidden, own), first: span.first };
    const result = await session.pool.run(scoreJob, {
      ...headOf(session),
      ...{ span, firstPosition },
      targets: joinTokens(own.map((chunk) => chunk.subarray(firstPosition + 1))),
      base: { form: "model", head: headOf(base), span: baseSpan },
    });
    baseSeconds += result.baseSeconds;
    advance((outputSize(session) + outputSize(base)) * scored * span.chunks);
    own.forEach((_, i) => {
      onScored(first + i, scoresOfChunk(result, i, scored));
    });
  });
  return baseSeconds;
}

interface Sizes {
  readonly base: GroupSize;
  /** One after the other they use the same memory. */
  readonly candidates: GroupSize;
}

/** Room for the chunks of a group in the base and in whichever candidate has its turn. */
function fitTurns(
  base: Session,
  candidates: readonly Session[],
  count: number,
  scored: number,
  context: number,
  options: CandidatesOptions,
): Sizes {
  const half = { ...options, maxMemory: (options.maxMemory ?? availableMemory() / 2) / 2 };
  const sizes = [base, ...candidates].map((session) =>
    fitMemory(session, count, context, half, (chunks) =>
      scoreMemory(session.plan.head.output, chunks, scored),
    ),
  );
  const groupChunks = Math.min(...sizes.map((size) => size.groupChunks));
  const jobChunks = Math.min(...sizes.map((size) => size.jobChunks));
  const [own, ...others] = sizes.map(({ hidden }) => hidden);
  const largest = others.reduce((a, b) => (a.byteLength < b.byteLength ? b : a));
  return {
    base: { groupChunks, jobChunks, hidden: own! },
    candidates: { groupChunks, jobChunks, hidden: largest },
  };
}

async function time(action: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await action();
  return (performance.now() - started) / 1000;
}
