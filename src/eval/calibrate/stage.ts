import type { Group, Stream } from "./capture/streams.js";
import type { Held, Wanted } from "./codes/feedback.js";
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
  /** [tokens of a group][columns] */
  readonly x: Matrix;
  /** What the rounded stream misses; undefined with one stream. */
  readonly missing: Matrix | undefined;
}

/** Rounds the tensors that share an input, from the hidden states in a slot. */
export async function runStage(
  on: Context,
  step: Step,
  stage: Stage,
  slot: number,
): Promise<FeedbackReport[]> {
  const { session, streams, tuning, room, isFull } = on;
  const { columns: c, adds } = stage;
  const { pool } = session;
  const x = room.matrix("x", streams.groupTokens, c);
  const missing =
    isFull && !step.isTied
      ? room.matrix("missing", streams.groupTokens, adds ? streams.width : c)
      : undefined;
  const captured = { step, stage, slot, x, missing };
  const moments = room.matrix("moments", c, c, true);
  const sums = missing && room.matrix("missing sums", missing.columns, c, true);
  for (const group of streams.fit) {
    await capture(on, captured, group);
    await addMoments(pool, x, x, group.tokens, moments);
    if (missing !== undefined && sums !== undefined) await addMoments(pool, missing, x, group.tokens, sums);
  }
  const importances = importancesOf(diagonalOf(moments), streams.weight, on.evidence);
  const settings = tuning(on.evidence / c);
  const factor = settings && (await factorize(pool, moments, settings));
  if (streams.held !== undefined) await capture(on, captured, streams.held);
  const of = adds ? "output" : "input";
  const held: Held | undefined = streams.held && {
    tokens: streams.held.tokens,
    x,
    wanted: missing && { of, values: missing },
  };
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
  { step, stage, slot, x, missing }: Captured,
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
  const run = (stream: Stream, wanted: object) =>
    on.streams.capture(group, stream, slot, on.scratch, on.runner(step, stream), {
      input,
      columns,
      ...wanted,
    });
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
