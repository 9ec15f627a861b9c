import type {
  Fit,
  Measured,
  PlanInfo,
  Problem,
  Progress,
  Verified,
  Stage as Work,
  Written,
} from "../engine/protocol.js";
import type { Device } from "./device.js";
import { nextPace, startPace } from "./pace.js";
import { type Chosen, isBusy, type Made, type Stage, type State, type Target, type Task } from "./state.js";

/** What can happen. */
export type Event =
  | { readonly type: "examined"; readonly device: Device }
  | { readonly type: "dragged"; readonly over: boolean }
  | { readonly type: "reading"; readonly name: string; readonly work: Work }
  | { readonly type: "opened"; readonly chosen: Chosen }
  | { readonly type: "aimed"; readonly target: Target }
  | { readonly type: "fitted"; readonly fit: Fit }
  | { readonly type: "picked"; readonly recipe: string }
  | { readonly type: "planned"; readonly plan: PlanInfo }
  | { readonly type: "started"; readonly work: Work }
  | { readonly type: "progressed"; readonly progress: Progress; readonly time: number }
  | { readonly type: "written"; readonly written: Written }
  | { readonly type: "tasked"; readonly name: Task["name"] }
  | { readonly type: "verified"; readonly verified: Verified }
  | { readonly type: "saved" }
  | { readonly type: "measured"; readonly measured: Measured }
  | { readonly type: "stopping" }
  | { readonly type: "failed"; readonly problem: Problem }
  | { readonly type: "dismissed" }
  | { readonly type: "again" }
  | { readonly type: "reset" };

/** What comes of it. What does not go with a stage changes nothing: an answer may arrive when nobody waits for it any more. */
export function reduce(state: State, event: Event): State {
  const after = apply(state, event);
  // Who is told to stop says himself when he has: he then is somewhere else, or does nothing any more.
  const isOver = after.stage !== state.stage && event.type !== "progressed";
  return after.stopping && isOver ? { ...after, stopping: false } : after;
}

function apply(state: State, event: Event): State {
  switch (event.type) {
    case "examined": {
      // What has been chosen meanwhile counts more than a guess.
      const guess = state.device === undefined ? event.device.memory : undefined;
      const memory = guess ?? state.target.memory;
      return { ...state, device: event.device, target: { ...state.target, memory } };
    }
    case "dragged":
      return { ...state, dragged: event.over };
    case "aimed":
      return { ...state, target: event.target };
    case "stopping":
      return { ...state, stopping: isBusy(state.stage) };
    case "dismissed":
      return { ...state, problem: undefined };
    case "reset":
      return { ...state, stage: { at: "empty" }, problem: undefined, dragged: false };
    case "reading":
      return {
        ...state,
        stage: { at: "reading", name: event.name, pace: startPace(event.work) },
        problem: undefined,
        dragged: false,
      };
    case "failed":
      return { ...state, ...failed(state.stage, event.problem) };
    case "progressed":
      return { ...state, stage: progressed(state.stage, event.progress, event.time) };
    default: {
      const stage = next(state.stage, event);
      if (stage === state.stage) return state;
      // A problem stays until something is tried again.
      const keepsProblem = event.type === "fitted" || event.type === "planned";
      return { ...state, stage, problem: keepsProblem ? state.problem : undefined };
    }
  }
}

type StageEvent = Exclude<
  Event,
  {
    type:
      | "examined"
      | "dragged"
      | "aimed"
      | "stopping"
      | "dismissed"
      | "reset"
      | "reading"
      | "failed"
      | "progressed";
  }
>;

function next(stage: Stage, event: StageEvent): Stage {
  switch (event.type) {
    case "opened":
      if (stage.at !== "reading") return stage;
      return { at: "planned", chosen: event.chosen, cancelled: false, busy: false };
    case "fitted":
      return "chosen" in stage ? { ...stage, chosen: { ...stage.chosen, fit: event.fit } } : stage;
    case "picked":
      if (stage.at !== "planned") return stage;
      return { ...stage, chosen: { ...stage.chosen, recipe: event.recipe }, cancelled: false, busy: true };
    case "planned":
      if (stage.at !== "planned" || event.plan.recipe !== stage.chosen.recipe) return stage;
      return { ...stage, chosen: { ...stage.chosen, plan: event.plan }, busy: false };
    case "started":
      if (stage.at !== "planned") return stage;
      return { at: "running", chosen: stage.chosen, pace: startPace(event.work) };
    case "written": {
      if (stage.at !== "running") return stage;
      const made = { written: event.written, verified: undefined, saved: false, measured: undefined };
      return { at: "done", chosen: stage.chosen, made, task: undefined };
    }
    case "again":
      if (stage.at !== "done") return stage;
      return { at: "planned", chosen: stage.chosen, cancelled: false, busy: false };
    case "tasked":
      if (stage.at !== "done") return stage;
      return { ...stage, task: { name: event.name, pace: startPace(event.name) } };
    case "verified":
      return finished(stage, "verify", { verified: event.verified });
    case "saved":
      return finished(stage, "save", { saved: true });
    case "measured":
      return finished(stage, "measure", { measured: event.measured });
  }
}

function finished(stage: Stage, name: Task["name"], change: Partial<Made>): Stage {
  if (stage.at !== "done" || stage.task?.name !== name) return stage;
  return { ...stage, made: { ...stage.made, ...change }, task: undefined };
}

function progressed(stage: Stage, progress: Progress, time: number): Stage {
  if (stage.at === "reading" || stage.at === "running") {
    return { ...stage, pace: nextPace(stage.pace, progress, time) };
  }
  if (stage.at === "done" && stage.task !== undefined) {
    return { ...stage, task: { ...stage.task, pace: nextPace(stage.task.pace, progress, time) } };
  }
  return stage;
}

/** Who fails goes back to where it can be tried again; who was told to stop is no problem. */
function failed(stage: Stage, problem: Problem): Pick<State, "stage" | "problem"> {
  const isCancelled = problem.kind === "cancelled";
  const said = isCancelled ? undefined : problem;
  switch (stage.at) {
    case "reading":
      return { stage: { at: "empty" }, problem: said };
    case "running":
      // A worker that has crashed knows no model any more.
      if (problem.kind === "crashed") return { stage: { at: "empty" }, problem: said };
      return {
        stage: { at: "planned", chosen: stage.chosen, cancelled: isCancelled, busy: false },
        problem: said,
      };
    case "planned":
      return { stage: { ...stage, busy: false }, problem: said };
    case "done":
      return { stage: { ...stage, task: undefined }, problem: said };
    case "empty":
      return { stage, problem: said };
  }
}
