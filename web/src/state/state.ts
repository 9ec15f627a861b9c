import type { Fit, Measured, ModelInfo, PlanInfo, Problem, Verified, Written } from "../engine/protocol.js";
import type { Device } from "./device.js";
import type { Pace } from "./pace.js";

/** A model that has been read, and what is to be made of it. */
export interface Chosen {
  readonly model: ModelInfo;
  readonly fit: Fit;
  readonly plan: PlanInfo;
  readonly recipe: string;
}

/** Where the model is to run. */
export interface Target {
  /** Bytes. */
  readonly memory: number;
  /** Tokens; llq chooses if undefined. */
  readonly context: number | undefined;
}

/** A file that was made, and what has become of it. */
export interface Made {
  readonly written: Written;
  /** Undefined while it has not been verified. */
  readonly verified: Verified | undefined;
  readonly saved: boolean;
  readonly measured: Measured | undefined;
}

/** Something long that is going on with a file that was made. */
export interface Task {
  readonly name: "verify" | "save" | "measure";
  readonly pace: Pace;
}

export type Stage =
  | { readonly at: "empty" }
  | { readonly at: "reading"; readonly name: string; readonly pace: Pace }
  | { readonly at: "planned"; readonly chosen: Chosen; readonly cancelled: boolean; readonly busy: boolean }
  | { readonly at: "running"; readonly chosen: Chosen; readonly pace: Pace }
  | { readonly at: "done"; readonly chosen: Chosen; readonly made: Made; readonly task: Task | undefined };

export interface State {
  /** Undefined until the browser has said. */
  readonly device: Device | undefined;
  readonly target: Target;
  /** Something is held over the page that may be dropped. */
  readonly dragged: boolean;
  readonly stage: Stage;
  /** What is going on has been told to stop. */
  readonly stopping: boolean;
  readonly problem: Problem | undefined;
}

export const START: State = {
  device: undefined,
  target: { memory: 8e9, context: undefined },
  dragged: false,
  stage: { at: "empty" },
  stopping: false,
  problem: undefined,
};

/** What a stage is of, if it is of a model. */
export function chosenOf(stage: Stage): Chosen | undefined {
  return "chosen" in stage ? stage.chosen : undefined;
}

/** Whether something goes on that can be stopped. */
export function isBusy(stage: Stage): boolean {
  return (
    stage.at === "reading" || stage.at === "running" || (stage.at === "done" && stage.task !== undefined)
  );
}
