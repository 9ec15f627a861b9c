import { elementCount } from "../../../formats/dtype.js";
import type { Model } from "../../model.js";
import { halvesOf } from "../../net/halves.js";
import { planDecoder } from "../../net/plan/decoder.js";
import type { DecoderPlan } from "../../net/plan/types.js";
import type { Session } from "../../net/session.js";
import type { Plan, TensorPlan } from "../../quant/plan.js";
import { encodeJob } from "../../run/write/encode.js";
import { checkTensor, encodeJobs } from "../../run/write/execute.js";
import { rowCount, type Tensor } from "../../tensor.js";
import { diagonalOf, type Factor, factorize } from "./factor.js";
import { type FeedbackResult, feedbackJob, type Held, rowsOfFeedback, type Wanted } from "./feedback.js";
import { addMoments, type Matrix } from "./moments.js";
import type { CalibrateOptions } from "./options.js";
import { Room } from "./room.js";
import type { Done, FeedbackReport, Scratch } from "./scratch.js";
import type { Stage, Step } from "./steps.js";
import type { Group, Runner, Stream, Streams } from "./streams.js";
import type { TuningOf } from "./tuning.js";

/** What a calibration is made of. */
export interface Parts {
  readonly model: Model;
  readonly session: Session;
  readonly plan: Plan;
  readonly steps: readonly Step[];
  readonly streams: Streams;
  readonly scratch: Scratch;
  readonly options: CalibrateOptions;
  readonly tuning: TuningOf;
}

/** The importance of a column that no token has touched, as a part of the mean: blocks need something to go by. */
const LEAST_IMPORTANCE = 1e-6;

/** Does the steps, one after the other. */
export class Work {
  readonly reports: FeedbackReport[] = [];
  readonly #parts: Parts;
  readonly #room: Room;
  /** Tensors that stand rounded in the scratch file. */
  readonly #stored = new Map<string, Tensor>();
  #rounded: DecoderPlan;
  #done = 0;
  readonly #total: number;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#rounded = parts.session.plan;
    this.#room = new Room();
    this.#total = parts.steps.reduce((sum, step) => sum + this.#workOf(step), 0);
  }

  get #isFull(): boolean {
    return this.#parts.options.effort === "full";
  }

  get #files() {
    return [...this.#parts.session.files, this.#parts.scratch.fd];
  }

  /** What comes before the first step, or before the one that an earlier run was stopped at. */
  async start(done: Done | undefined, rounded: readonly TensorPlan[]): Promise<void> {
    const { streams, session, steps, scratch } = this.#parts;
    const ours = new Set(steps.flatMap(({ stages }) => stages.flatMap((stage) => stage.tensors)));
    if (this.#isFull && done?.steps !== steps.length) {
      const others = rounded.filter((tensor) => !ours.has(tensor));
      await Promise.all(others.map((tensor) => this.#encode(tensor)));
      for (const tensor of others) this.#store(tensor);
    }
    for (const step of steps.slice(0, done?.steps ?? 0)) {
      for (const { tensors } of step.stages) for (const tensor of tensors) this.#store(tensor);
      this.#done += this.#workOf(step);
    }
    this.reports.push(...(done?.reports ?? []));
    this.#replan();
    if (done !== undefined && done.steps > 0) return;
    await streams.embed("own", scratch, session.plan, session.files);
    if (this.#isFull) await streams.embed("rounded", scratch, this.#rounded, this.#files);
  }

  /** Rounds a tensor that feedback has nothing to do with, so that the rounded model has it. */
  async #encode(tensor: TensorPlan): Promise<void> {
    const { session, scratch } = this.#parts;
    const place = scratch.placeOf(tensor.tensor.name);
    const plan = { ...tensor, offset: place.offset };
    const jobs = encodeJobs(plan, session.files, place);
    const results = await Promise.all(jobs.map((job) => session.pool.run(encodeJob, job)));
    await checkTensor(session.pool, plan, place, results);
  }

  #store(tensor: TensorPlan): void {
    const { scratch, session } = this.#parts;
    this.#stored.set(tensor.tensor.name, scratch.stored(tensor, session.files.length));
  }

  #replan(): void {
    const { model } = this.#parts;
    const tensors = model.tensors.map((each) => this.#stored.get(each.name) ?? each);
    this.#rounded = planDecoder({ ...model, tensors });
  }

  async run(step: Step, index: number): Promise<void> {
    const { streams, scratch } = this.#parts;
    const slot = index % 2;
    for (const stage of step.stages) await this.#runStage(step, stage, slot);
    if (step.layer !== undefined) {
      for (const stream of streams.streams)
        await streams.pass(stream, slot, scratch, this.#runner(step, stream));
    }
    this.#done += step.work * this.#allTokens * streams.streams.length;
    this.#tell();
  }

  /** What a stream runs the step with. */
  #runner({ layer, half }: Step, stream: Stream): Runner {
    const { session, streams } = this.#parts;
    const plan = stream === "own" ? session.plan : this.#rounded;
    return {
      files: stream === "own" ? session.files : this.#files,
      layer: halvesOf(plan.layers[layer!]!)[half]!,
      rope: streams.ropes[layer!],
    };
  }

  async #runStage(step: Step, stage: Stage, slot: number): Promise<void> {
    const { session, streams, tuning } = this.#parts;
    const { columns: c } = stage;
    const { pool } = session;
    const perColumn = streams.tokens / c;
    const settings = tuning(perColumn);
    const x = this.#room.matrix("x", streams.groupTokens, c);
    const moments = this.#room.matrix("moments", c, c, true);
    const missing = this.#missingOf(stage);
    const sums = missing && this.#room.matrix("missing sums", missing.columns, c, true);
    for (const group of streams.fit) {
      await this.#capture(step, stage, slot, group, x, missing);
      await addMoments(pool, x, x, group.tokens, moments);
      if (missing !== undefined && sums !== undefined) await addMoments(pool, missing, x, group.tokens, sums);
    }
    const diagonal = diagonalOf(moments);
    const importances = this.#importances(stage, diagonal);
    const factor: Factor | undefined = settings && (await factorize(pool, moments, settings));
    const { held: heldGroup } = streams;
    if (heldGroup !== undefined) await this.#capture(step, stage, slot, heldGroup, x, missing);
    const of = stage.adds ? "output" : "input";
    const held: Held | undefined = heldGroup && {
      tokens: heldGroup.tokens,
      x,
      wanted: missing && { of, values: missing },
    };
    const wanted: Wanted | undefined = sums &&
      settings && { of, moments: sums, correction: settings.correction };
    for (const tensor of stage.tensors) {
      await this.#round(tensor, stage, { factor, wanted, held, importances });
      this.#store(tensor);
    }
    this.#replan();
    this.#done += this.#stageWork(stage);
    this.#tell();
  }

  /** Room for what the rounded stream misses, [tokens][columns of it]; undefined with one stream. */
  #missingOf(stage: Stage): Matrix | undefined {
    if (!this.#isFull) return undefined;
    const { streams } = this.#parts;
    const columns = stage.adds ? streams.width : stage.columns;
    return this.#room.matrix("missing", streams.groupTokens, columns);
  }

  /** Fills `x` with what goes into the stage's matrices, and `missing` with what that misses, for a group. */
  async #capture(
    step: Step,
    stage: Stage,
    slot: number,
    group: Group,
    x: Matrix,
    missing: Matrix | undefined,
  ): Promise<void> {
    const { streams, scratch, session } = this.#parts;
    const { input, columns, adds } = stage;
    const first: Stream = missing === undefined ? "own" : "rounded";
    if (step.layer === undefined) {
      const norm = (stream: Stream) => (stream === "own" ? session.plan : this.#rounded).head.output_norm;
      const files = (stream: Stream) => (stream === "own" ? session.files : this.#files);
      const of = (stream: Stream, place: { to: SharedArrayBuffer; minus?: SharedArrayBuffer }) =>
        streams.captureHead(group, stream, slot, scratch, {
          files: files(stream),
          norm: norm(stream),
          place,
        });
      await of(first, { to: x.buffer });
      if (missing !== undefined) await of("own", { to: missing.buffer, minus: x.buffer });
      return;
    }
    const run = (stream: Stream, wanted: object) =>
      streams.capture(group, stream, slot, scratch, this.#runner(step, stream), {
        input,
        columns,
        ...wanted,
      });
    if (missing === undefined) await run(first, { x: { to: x.buffer } });
    else if (adds) {
      // The stage's own matrix is not rounded yet: the streams differ by what its input and those before have lost.
      await run("rounded", { x: { to: x.buffer }, added: { to: missing.buffer } });
      await run("own", { added: { to: missing.buffer, minus: missing.buffer } });
    } else {
      await run("rounded", { x: { to: x.buffer } });
      await run("own", { x: { to: missing.buffer, minus: x.buffer } });
    }
  }

  /** Mean squares of what goes into the columns, for those whose plan has no importances of its own. */
  #importances({ columns }: Stage, diagonal: Float64Array): Float32Array {
    const { tokens } = this.#parts.streams;
    const mean = diagonal.reduce((sum, value) => sum + value, 0) / columns;
    const least = mean > 0 ? mean * LEAST_IMPORTANCE : 1;
    return Float32Array.from(diagonal, (value) => Math.max(value, least) / tokens);
  }

  async #round(
    tensor: TensorPlan,
    { columns }: Stage,
    {
      factor,
      wanted,
      held,
      importances,
    }: {
      factor: Factor | undefined;
      wanted: Wanted | undefined;
      held: Held | undefined;
      importances: Float32Array;
    },
  ): Promise<void> {
    const { session, scratch, streams, options } = this.#parts;
    const place = scratch.placeOf(tensor.tensor.name);
    const rows = rowCount(tensor.tensor);
    const rowBytes = tensor.byteLength / rows;
    const shared = new SharedArrayBuffer(columns * 4);
    new Float32Array(shared).set(
      options.keepImportances ? (tensor.weights?.[0] ?? importances) : importances,
    );
    const step = rowsOfFeedback(columns);
    const jobs = Array.from({ length: Math.ceil(rows / step) }, (_, i) => ({
      ...{ tensor: tensor.tensor, files: session.files, dtype: tensor.dtype },
      ...{ firstRow: i * step, matrixRow: i * step, rows: Math.min(step, rows - i * step) },
      ...{ importances: shared, factor, wanted, held },
      output: { ...place, offset: place.offset + i * step * rowBytes },
    }));
    const results = await Promise.all(jobs.map((job) => session.pool.run(feedbackJob, job)));
    await checkTensor(session.pool, { ...tensor, offset: place.offset }, place, results);
    this.reports.push(reportOf(tensor, streams.tokens, columns, results));
  }

  get #allTokens(): number {
    return this.#parts.streams.groups.reduce((sum, { tokens }) => sum + tokens, 0);
  }

  #workOf(step: Step): number {
    const passing = step.work * this.#allTokens * this.#parts.streams.streams.length;
    return step.stages.reduce((sum, stage) => sum + this.#stageWork(stage), passing);
  }

  /** Multiply-adds, about. */
  #stageWork({ columns: c, tensors, workBefore, adds }: Stage): number {
    const { streams } = this.#parts;
    const n = this.#allTokens;
    const elements = tensors.reduce((sum, { tensor }) => sum + elementCount(tensor.shape), 0);
    const forward = workBefore * n * streams.streams.length;
    const second = n * c * (c / 2 + (this.#isFull ? (adds ? streams.width : c) : 0));
    const sweeps = elements * c * (0.5 + (this.#isFull ? (adds ? 1 : 2) : 0));
    return forward + second + c ** 3 / 6 + sweeps;
  }

  #tell(): void {
    this.#parts.options.onProgress?.(this.#done, this.#total);
  }

  /** The plan with what is rounded in the place of what it is made of. */
  apply(plan: Plan): Plan {
    const { scratch, steps } = this.#parts;
    const ours = new Set(steps.flatMap(({ stages }) => stages.flatMap((stage) => stage.tensors)));
    const names = new Set([...ours].map(({ tensor }) => tensor.name));
    const tensors = plan.tensors.map((tensor) =>
      names.has(tensor.tensor.name)
        ? { ...tensor, tensor: scratch.stored(tensor, plan.files.length), weights: undefined }
        : tensor,
    );
    return { ...plan, files: [...plan.files, scratch.path], tensors };
  }
}

function reportOf(
  { tensor, dtype }: TensorPlan,
  tokens: number,
  columns: number,
  results: readonly FeedbackResult[],
): FeedbackReport {
  const sum = (of: (result: FeedbackResult) => number) =>
    results.reduce((total, each) => total + of(each), 0);
  return {
    ...{ name: tensor.name, dtype, tokens, columns, rows: rowCount(tensor) },
    plainError: sum((each) => each.plainError),
    error: sum((each) => each.error),
    plainRows: sum((each) => each.plainRows),
    squaredError: sum((each) => each.squaredError),
    squaredSum: sum((each) => each.squaredSum),
    maxError: Math.max(...results.map((each) => each.maxError)),
    crc32: results[0]!.crc32,
  };
}
