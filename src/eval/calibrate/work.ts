import { elementCount } from "../../../formats/dtype.js";
import { halvesOf } from "../../net/halves.js";
import { planDecoder } from "../../net/plan/decoder.js";
import type { DecoderPlan } from "../../net/plan/types.js";
import { statesOf } from "../../net/streams.js";
import type { Plan, TensorPlan } from "../../quant/plan.js";
import { encodeJob } from "../../run/write/encode.js";
import { checkTensor, encodeJobs } from "../../run/write/tensor-jobs.js";
import type { Tensor } from "../../tensor.js";
import type { Context, Parts } from "./context.js";
import { runExperts } from "./experts.js";
import { Room } from "./moments/room.js";
import type { Done, FeedbackReport } from "./scratch.js";
import { runStage, runTogether } from "./stage.js";
import type { Stage, Step } from "./steps.js";
import { DESCENTS } from "./tuning.js";

/** Whether the last stage of a step runs the own stream through it. */
function passesOwn({ layer, stages }: Step): boolean {
  return layer !== undefined && stages.length > 0 && stages.every(({ experts }) => experts === 0);
}

/** Does the steps, one after the other. */
export class Work {
  readonly reports: FeedbackReport[] = [];
  readonly #parts: Parts;
  readonly #context: Context;
  /** Tensors that stand rounded in the scratch file. */
  readonly #stored = new Map<string, Tensor>();
  #rounded: DecoderPlan;
  #done = 0;
  readonly #total: number;

  constructor(parts: Parts) {
    const { session, scratch, streams } = parts;
    this.#parts = parts;
    this.#rounded = session.plan;
    this.#total = parts.steps.reduce((sum, step) => sum + this.#workOf(step), 0);
    const ownFiles = session.files;
    const allFiles = [...ownFiles, scratch.fd];
    const context: Context = {
      ...parts,
      room: new Room(),
      isFull: this.#isFull,
      descents: parts.options.effort === "max" ? DESCENTS : 0,
      evidence: streams.evidence,
      decoder: (stream) => (stream === "own" ? session.plan : this.#rounded),
      files: (stream) => (stream === "own" ? ownFiles : allFiles),
      runner: ({ layer, half }, stream) => ({
        files: context.files(stream),
        layer: halvesOf(context.decoder(stream).layers[layer!]!)[half]!,
        rope: streams.ropes[layer!],
        states: statesOf(session.plan),
        inputs: context.decoder(stream).layerInputs,
      }),
    };
    this.#context = context;
  }

  get #isFull(): boolean {
    return this.#parts.options.effort !== "plain";
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
    if (steps[0]?.isTied) await streams.embed("own", 0, scratch, session.plan, session.files);
    else await this.#embed(0);
  }

  /** The first hidden states of all streams, in a slot. */
  async #embed(slot: number): Promise<void> {
    const { streams, scratch } = this.#parts;
    for (const stream of streams.streams) {
      await streams.embed(stream, slot, scratch, this.#context.decoder(stream), this.#context.files(stream));
    }
  }

  /** Runs the model through, as it is, from slot 0 on; returns the slot in which that ends. */
  async #runThrough(): Promise<number> {
    const { streams, scratch, steps } = this.#parts;
    let slot = 0;
    for (const step of steps) {
      if (step.layer === undefined) continue;
      await streams.pass("own", slot, scratch, this.#context.runner(step, "own"));
      slot = 1 - slot;
    }
    return slot;
  }

  /** Rounds a tensor that feedback has nothing to do with, so that the rounded model has it. */
  async #encode(tensor: TensorPlan): Promise<void> {
    const { session, scratch } = this.#parts;
    const place = scratch.placeOf(tensor.tensor.name);
    const plan = { ...tensor, offset: place.offset };
    const jobs = encodeJobs(plan, session.files, place);
    const results = (await Promise.all(jobs.map((job) => session.pool.run(encodeJob, job)))).flat();
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
    const slot = step.isTied ? await this.#runThrough() : index % 2;
    if (this.#isTogether(step)) {
      this.reports.push(...(await runTogether(this.#context, step, slot)));
      for (const stage of step.stages) this.#finish(stage);
    } else {
      for (const stage of step.stages) {
        const run = stage.experts > 0 ? runExperts : runStage;
        this.reports.push(...(await run(this.#context, step, stage, slot)));
        this.#finish(stage);
      }
    }
    if (step.isTied) await this.#embed(1);
    if (step.layer !== undefined) {
      for (const stream of streams.streams) {
        if (stream === "own" && passesOwn(step)) continue;
        await streams.pass(stream, slot, scratch, this.#context.runner(step, stream));
      }
    }
    this.#done += this.#passingWork(step);
    this.#tell();
  }

  /** Whether all inputs of a step are taken in one run: what goes into the last does not depend on how the first are rounded. */
  #isTogether(step: Step): boolean {
    return !this.#isFull && passesOwn(step);
  }

  #finish(stage: Stage): void {
    for (const tensor of stage.tensors) this.#store(tensor);
    this.#replan();
    this.#done += this.#stageWork(stage);
    this.#tell();
  }

  get #allTokens(): number {
    return this.#parts.streams.groups.reduce((sum, { tokens }) => sum + tokens, 0);
  }

  #workOf(step: Step): number {
    return step.stages.reduce((sum, stage) => sum + this.#stageWork(stage), this.#passingWork(step));
  }

  #passingWork(step: Step): number {
    return step.work * this.#allTokens * this.#parts.streams.streams.length;
  }

  /** Multiply-adds, about. */
  #stageWork({ columns: c, tensors, workBefore, adds }: Stage): number {
    const { streams } = this.#parts;
    const n = this.#allTokens;
    const elements = tensors.reduce((sum, { tensor }) => sum + elementCount(tensor.shape), 0);
    const forward = this.#isFull ? workBefore * n * streams.streams.length : 0;
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
