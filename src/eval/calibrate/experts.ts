import type { ExpertRows } from "./capture/capture.js";
import type { Group } from "./capture/streams.js";
import type { FeedbackResult } from "./codes/feedback.js";
import { groupOf } from "./codes/grids.js";
import type { Context } from "./context.js";
import { expertsAtOnce } from "./memory.js";
import { diagonalOf, type Factor, factorize } from "./moments/factor.js";
import { addMoments, floatsOf, type Matrix } from "./moments/moments.js";
import { checkRounded, type Guide, importancesOf, reportOf, roundMatrix } from "./rounding.js";
import type { FeedbackReport } from "./scratch.js";
import type { Stage, Step } from "./steps.js";

// Matrices that each get some of the tokens. Routers may send the same token elsewhere in the two streams, so there is
// nothing to take what is missed from: the experts are rounded for what reaches them in the rounded stream.

/** Tokens of its own by which an expert counts as much as all others, in columns. */
const OWN_TOKENS = 4;

/** Rows of experts, those of each together: [rows][columns]. */
interface Sorted {
  readonly x: Matrix;
  /** Of each expert, in rows. */
  readonly first: readonly number[];
  readonly counts: readonly number[];
  /** What those count. */
  readonly weights: readonly number[];
}

/** Rounds the tensors of experts, from the hidden states in a slot. */
export async function runExperts(
  on: Context,
  step: Step,
  stage: Stage,
  slot: number,
): Promise<FeedbackReport[]> {
  const { session, streams, room } = on;
  const { columns: c, experts } = stage;
  const all = stage.alike ? room.matrix("all moments", c, c, true) : undefined;
  const weights = new Array<number>(experts).fill(0);
  for (const group of streams.fit) {
    const sorted = await captureExperts(on, step, stage, slot, group);
    for (const [expert, weight] of sorted.weights.entries()) weights[expert]! += weight;
    const rows = sorted.counts.reduce((sum, count) => sum + count, 0);
    if (all !== undefined) await addMoments(session.pool, sorted.x, sorted.x, rows, all);
  }
  const results = new Map(stage.tensors.map((tensor) => [tensor, [] as FeedbackResult[]]));
  const batch = expertsAtOnce(experts, c);
  for (let first = 0; first < experts; first += batch) {
    const count = Math.min(batch, experts - first);
    const moments = Array.from({ length: count }, (_, i) => room.matrix(`moments ${i}`, c, c, true));
    for (const group of streams.fit) {
      const sorted = await captureExperts(on, step, stage, slot, group);
      for (const [i, own] of moments.entries()) {
        const x = rowsOfExpert(sorted, first + i);
        await addMoments(session.pool, x, x, sorted.counts[first + i]!, own);
      }
    }
    const held = streams.held && (await captureExperts(on, step, stage, slot, streams.held));
    const total = weights.reduce((sum, each) => sum + each, 0);
    for (const [i, own] of moments.entries()) {
      const expert = first + i;
      const guide = await guideOf(on, stage, own, weights[expert]!, all && { all, tokens: total });
      const kept = held === undefined || held.counts[expert] === 0 ? undefined : held;
      const judged = kept && {
        tokens: kept.counts[expert]!,
        x: rowsOfExpert(kept, expert),
        wanted: undefined,
      };
      for (const tensor of stage.tensors) {
        results.get(tensor)!.push(...(await roundMatrix(on, tensor, expert, { ...guide, held: judged })));
      }
    }
  }
  const reports: FeedbackReport[] = [];
  const tokens = weights.reduce((sum, each) => sum + each, 0) / experts;
  for (const [tensor, own] of results) {
    await checkRounded(on, tensor, own);
    reports.push(reportOf(tensor, tokens, c, own));
  }
  return reports;
}

/** What an expert is rounded by: its own moments, with those of all experts where they have something to say of it. */
async function guideOf(
  { session, tuning, evidence, streams }: Context,
  { tensors }: Stage,
  moments: Matrix,
  count: number,
  others: { readonly all: Matrix; readonly tokens: number } | undefined,
): Promise<Guide> {
  const c = moments.columns;
  let tokens = count;
  if (others !== undefined && others.tokens > 0) {
    const share = count / (count + OWN_TOKENS * c);
    const [own, all] = [floatsOf(moments), floatsOf(others.all)];
    const [ownFactor, allFactor] = [count === 0 ? 0 : share / count, (1 - share) / others.tokens];
    for (let i = 0; i < c * c; i++) own[i] = ownFactor * own[i]! + allFactor * all[i]!;
    // What all experts' tokens say of one is less than what its own do.
    tokens = share * count + (1 - share) * others.tokens;
  }
  const diagonal = diagonalOf(moments);
  const news = (tokens * evidence) / streams.weight;
  const importances = importancesOf(diagonal, others === undefined ? count : 1, news);
  const settings = tuning(news / c);
  const isSilent = diagonal.every((value) => value === 0);
  const group = groupOf(tensors.map(({ dtype }) => dtype));
  const factor: Factor | undefined =
    settings === undefined || isSilent ? undefined : await factorize(session.pool, moments, settings, group);
  return { factor, wanted: undefined, held: undefined, importances, tokens };
}

function rowsOfExpert({ x, first }: Sorted, expert: number): Matrix {
  return { ...x, start: first[expert]! * x.columns };
}

/** What goes into each expert of a group's tokens, in the order of the tokens. */
async function captureExperts(
  on: Context,
  step: Step,
  stage: Stage,
  slot: number,
  group: Group,
): Promise<Sorted> {
  const { streams, room, scratch } = on;
  const { input, columns, experts, rowsOfToken } = stage;
  const rows = streams.groupTokens * rowsOfToken;
  const raw = room.matrix("x", rows, columns);
  const stream = on.isFull ? "rounded" : "own";
  const wanted = { input, columns, rowsOfToken, x: { to: raw.buffer } };
  const parts = await streams.capture(group, stream, slot, scratch, on.runner(step, stream), [wanted]);
  const counts = new Array<number>(experts).fill(0);
  const weights = new Array<number>(experts).fill(0);
  for (const { expert, rows: own, weight } of parts) {
    counts[expert]! += own;
    weights[expert]! += weight;
  }
  const first: number[] = [];
  let end = 0;
  for (const count of counts) {
    first.push(end);
    end += count;
  }
  const x = room.matrix("sorted", rows, columns);
  sortRows(raw, parts, [...first], x);
  return { x, first, counts, weights };
}

function sortRows(raw: Matrix, parts: readonly ExpertRows[], next: number[], sorted: Matrix): void {
  const [from, to] = [floatsOf(raw), floatsOf(sorted)];
  const { columns } = raw;
  for (const { expert, row, rows } of parts) {
    to.set(from.subarray(row * columns, (row + rows) * columns), next[expert]! * columns);
    next[expert]! += rows;
  }
}
