import type { Group, Stream } from "./capture/streams.js";
import type { Wanted } from "./codes/feedback.js";
import { groupOf } from "./codes/grids.js";
import type { Held } from "./codes/held.js";
import type { Context } from "./context.js";
import { diagonalOf, factorize } from "./moments/factor.js";
import { addMoments, type Matrix } from "./moments/moments.js";
import { checkRounded, importancesOf, reportOf, roundMatrix } from "./rounding.js";
import type { FeedbackReport } from "./scratch.js";
import type { Stage, Step } from "./steps.js";

/** A stage on its way. */
interface Captured {
  readonly step: Step;
  readonly stage: Stage;
  readonly slot: number;
  /** The step's last: what captures it can run the model as it is to the step's end. */
  readonly isLast: boolean;
  /** [tokens of a group][columns] */
  readonly x: Matrix;
  /** What the rounded stream misses; undefined with one stream. */
  readonly missing: Matrix | undefined;
}

/** Rounds the tensors that share an input, from the hidden states in a slot; after the last the own stream's are in the other. */
export async function runStage(
  on: Context,
  step: Step,
  stage: Stage,
  slot: number,
): Promise<FeedbackReport[]> {
  const { session, streams, room, isFull } = on;
  const { columns: c, adds } = stage;
  const { pool } = session;
  const x = room.matrix("x 0", streams.groupTokens, c);
  const missing =
    isFull && !step.isTied
      ? room.matrix("missing", streams.groupTokens, adds ? streams.width : c)
      : undefined;
  const captured = { step, stage, slot, isLast: stage === step.stages.at(-1), x, missing };
  const moments = room.matrix("moments 0", c, c, true);
  const sums = missing && room.matrix("missing sums", missing.columns, c, true);
  for (const group of streams.fit) {
    await capture(on, captured, group);
    await addMoments(pool, x, x, group.tokens, moments);
    if (missing !== undefined && sums !== undefined) await addMoments(pool, missing, x, group.tokens, sums);
  }
  const hold = async (held: Group): Promise<Held> => {
    await capture(on, captured, held);
    const wanted = missing && ({ of: adds ? "output" : "input", values: missing } as const);
    return { tokens: held.tokens, x, wanted };
  };
  return roundStage(on, stage, moments, hold, sums);
}

/**
 * Rounds what a step has, of the model's own stream: all inputs pass by in one run, which is the stream's through the step, too.
 * The same codes as of one stage after the other.
 */
export async function runTogether(on: Context, step: Step, slot: number): Promise<FeedbackReport[]> {
  const { session, streams, room, scratch } = on;
  const each = step.stages.map((stage, i) => ({
    stage,
    x: room.matrix(`x ${i}`, streams.groupTokens, stage.columns),
    moments: room.matrix(`moments ${i}`, stage.columns, stage.columns, true),
  }));
  const wanted = each.map(({ stage: { input, columns }, x }) => ({ input, columns, x: { to: x.buffer } }));
  const run = (group: Group) =>
    streams.capture(group, "own", slot, scratch, on.runner(step, "own"), wanted, true);
  for (const group of streams.fit) {
    await run(group);
    await Promise.all(each.map(({ x, moments }) => addMoments(session.pool, x, x, group.tokens, moments)));
  }
  if (streams.held !== undefined) await run(streams.held);
  const reports: FeedbackReport[] = [];
  for (const { stage, x, moments } of each) {
    const hold = async ({ tokens }: Group): Promise<Held> => ({ tokens, x, wanted: undefined });
    reports.push(...(await roundStage(on, stage, moments, hold, undefined)));
  }
  return reports;
}

/**
 * Rounds a stage's tensors by its moments, whose memory the factor takes.
 * @param hold gives what is judged by, once moments are no longer needed
 * @param sums of what is missing
 */
async function roundStage(
  on: Context,
  stage: Stage,
  moments: Matrix,
  hold: (held: Group) => Promise<Held>,
  sums: Matrix | undefined,
): Promise<FeedbackReport[]> {
  const { session, streams, tuning } = on;
  const { columns: c, adds } = stage;
  const importances = importancesOf(diagonalOf(moments), streams.weight, on.evidence);
  const settings = tuning(on.evidence / c);
  const factor =
    settings &&
    (await factorize(session.pool, moments, settings, groupOf(stage.tensors.map(({ dtype }) => dtype))));
  const held = streams.held && (await hold(streams.held));
  const of = adds ? "output" : "input";
  const wanted: Wanted | undefined = sums &&
    settings && { of, moments: sums, correction: settings.correction };
  const guide = { factor, wanted, held, importances, tokens: streams.weight };
  const reports: FeedbackReport[] = [];
  for (const tensor of stage.tensors) {
    const results = await roundMatrix(on, tensor, 0, guide);
    await checkRounded(on, tensor, results);
    reports.push(reportOf(tensor, streams.weight, c, results));
  }
  return reports;
}

/** Fills `x` with what goes into the stage's matrices, and `missing` with what that misses, for a group. */
async function capture(
  on: Context,
  { step, stage, slot, isLast, x, missing }: Captured,
  group: Group,
): Promise<void> {
  if (step.layer === undefined) {
    const of = (stream: Stream, place: { to: SharedArrayBuffer; minus?: SharedArrayBuffer }) =>
      on.streams.captureHead(group, stream, slot, on.scratch, {
        files: on.files(stream),
        head: on.decoder(stream).head,
        place,
      });
    await of(missing === undefined ? "own" : "rounded", { to: x.buffer });
    if (missing !== undefined) await of("own", { to: missing.buffer, minus: x.buffer });
    return;
  }
  const { input, columns, adds } = stage;
  const run = (stream: Stream, wanted: object) => {
    const runner = on.runner(step, stream);
    const isPass = isLast && stream === "own";
    const all = [{ input, columns, ...wanted }];
    return on.streams.capture(group, stream, slot, on.scratch, runner, all, isPass);
  };
  if (missing === undefined) await run("own", { x: { to: x.buffer } });
  else if (adds) {
    // The stage's own matrix is not rounded yet: the streams differ by what its input and those before have lost.
    await run("rounded", { x: { to: x.buffer }, added: { to: missing.buffer } });
    await run("own", { added: { to: missing.buffer, minus: missing.buffer } });
  } else {
    await run("rounded", { x: { to: x.buffer } });
    await run("own", { x: { to: missing.buffer, minus: x.buffer } });
  }
}
