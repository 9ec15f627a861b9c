import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { prepareBlocks } from "../../net/blocks.js";
import { withSession } from "../../net/session.js";
import type { Plan } from "../../quant/plan.js";
import { claimOutputs } from "../../run/write/claim.js";
import { isResumable, withResumeHint } from "../../run/write/output.js";
import { hashWork } from "../imatrix/checkpoint.js";
import { Streams } from "./capture/streams.js";
import { GRID_TYPES, gridOf } from "./codes/grids.js";
import { calibrationMemory, checkMemory } from "./memory.js";
import type { CalibrateOptions } from "./options.js";
import { type Done, type FeedbackReport, readDone, removeScratch, Scratch } from "./scratch.js";
import { type Step, stepsOf } from "./steps.js";
import type { CalibrationChunks } from "./text.js";
import { tuningOf } from "./tuning.js";
import { Work } from "./work.js";

export interface Calibration {
  /** A plan of the same tensors, or some of them, that takes those that are rounded from the scratch file. */
  readonly apply: (plan: Plan) => Plan;
  readonly reports: readonly FeedbackReport[];
  /** Steps that an earlier run had done. */
  readonly resumed: number;
  readonly steps: number;
  /** Of the text. */
  readonly tokens: number;
  /** From the vocabulary. */
  readonly drawn: number;
  readonly seconds: number;
}

/**
 * Rounds a planned file's matrices with error feedback: each matrix' columns one after the other, those that follow making up
 * for what those before have lost, as far as the activations of a text go. Types and sizes stay those of the plan. The
 * model is run through layer by layer, twice side by side: as it is, and as it has been rounded so far, so that a matrix
 * also makes up for what those before it have lost.
 *
 * The bytes do not depend on threads or memory: a tile of second moments has one owner and takes its tokens in order, in
 * groups of fixed size.
 * @param chunks tokens, all of one length
 * @throws LlqError `bad-input` for activations that are no finite numbers; `usage` for an output that exists; `no-space`
 */
export async function calibrate(
  model: Model,
  plan: Plan,
  output: string,
  chunks: CalibrationChunks,
  options: CalibrateOptions,
): Promise<Calibration> {
  const { scratch: path, effort, force, resume = false } = options;
  const claim = claimOutputs([output], { byteLength: plan.byteLength, inputs: plan.files, force });
  try {
    const print = fingerprint(model, plan, chunks, { effort, ...options.tuning });
    const done = resume ? readDone(path, print) : undefined;
    return await run(model, plan, chunks, options, print, done);
  } catch (error) {
    if (isResumable(error)) throw withResumeHint(error, path);
    if (!resume) removeScratch(path);
    throw error;
  } finally {
    claim.release();
  }
}

async function run(
  model: Model,
  plan: Plan,
  chunks: CalibrationChunks,
  options: CalibrateOptions,
  print: string,
  done: Done | undefined,
): Promise<Calibration> {
  const started = performance.now();
  return withSession(model, { ...options, activations: "f32" }, async (session) => {
    const context = chunks.text[0]!.length;
    const steps = stepsOf(session.plan, plan);
    checkSteps(steps);
    const streams = new Streams(session, chunks, prepareBlocks(session, context).ropes, options.effort);
    const { maxMemory, effort } = options;
    checkMemory(calibrationMemory(streams, steps, effort, session.pool.threads), maxMemory);
    const rounded = plan.tensors.filter(({ tensor, dtype }) => dtype !== tensor.dtype && dtype !== "F32");
    const scratch = new Scratch(options.scratch, rounded, streams.stateBytes, done !== undefined);
    try {
      const work = new Work({
        model,
        session,
        plan,
        steps,
        streams,
        scratch,
        options,
        tuning: tuningOf(options.tuning),
      });
      await work.start(done, rounded);
      for (const [i, step] of steps.entries()) {
        if (i < (done?.steps ?? 0)) continue;
        await work.run(step, i);
        scratch.checkpoint(print, { steps: i + 1, reports: work.reports });
      }
      return {
        apply: (part) => work.apply(part),
        reports: work.reports,
        resumed: done?.steps ?? 0,
        steps: steps.length,
        tokens: chunks.text.length * context,
        drawn: chunks.drawn.length * context,
        seconds: (performance.now() - started) / 1000,
      };
    } finally {
      await session.pool.close();
      scratch.close();
    }
  });
}

/** @throws LlqError `usage` when no matrix gets a type that feedback can round */
function checkSteps(steps: readonly Step[]): void {
  const tensors = steps.flatMap(({ stages }) => stages.flatMap((stage) => stage.tensors));
  if (tensors.some(({ dtype }) => gridOf(dtype) !== undefined)) return;
  throw new LlqError(
    "usage",
    t`calibration has nothing to do: no matrix of a layer gets a type it can round`,
    {
      hint: t`such types are ${GRID_TYPES.join(", ")}; of others, --imatrix chooses the scales`,
    },
  );
}

/** Of everything the codes depend on. */
function fingerprint(model: Model, plan: Plan, { text, drawn }: CalibrationChunks, tuning: object): string {
  const hash = hashWork(model, [...text, ...drawn]).update(JSON.stringify([text.length, tuning]));
  for (const { tensor, dtype, weights = [] } of plan.tensors) {
    hash.update(JSON.stringify([tensor.name, dtype]));
    for (const values of weights) hash.update(values);
  }
  return hash.digest("hex");
}
