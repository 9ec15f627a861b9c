import type { Model } from "../../model.js";
import type { DecoderPlan } from "../../net/plan/types.js";
import type { Session } from "../../net/session.js";
import type { Plan } from "../../quant/plan.js";
import type { Descriptors } from "../../rows/rows.js";
import type { Runner, Stream, Streams } from "./capture/streams.js";
import type { Room } from "./moments/room.js";
import type { CalibrateOptions } from "./options.js";
import type { Scratch } from "./scratch.js";
import type { Step } from "./steps.js";
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

/** What a stage is done with, and how far the model is rounded. */
export interface Context extends Parts {
  readonly room: Room;
  readonly isFull: boolean;
  /** Times that rounded columns are gone through again. */
  readonly descents: number;
  /** See Streams. */
  readonly evidence: number;
  /** What a stream runs a step of a layer with. */
  runner(step: Step, stream: Stream): Runner;
  decoder(stream: Stream): DecoderPlan;
  files(stream: Stream): Descriptors;
}
