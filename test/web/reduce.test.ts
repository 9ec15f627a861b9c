import { expect, it } from "vitest";
import type { PlanInfo, Problem } from "../../web/src/engine/protocol.js";
import { type Event, reduce } from "../../web/src/state/reduce.js";
import { START, type State } from "../../web/src/state/state.js";
import { StandIn } from "./check/stand-in.js";

const engine = new StandIn({});
const model = await engine.call("open", { kind: "files", name: "m", files: [] });
const fit = await engine.call("fit", { memory: 8e9, context: undefined });
const plan = await engine.call("plan", { recipe: "Q4_K_M" });
const other = await engine.call("plan", { recipe: "Q8_0" });
const written = await engine.call("quantize", { recipe: "Q4_K_M", name: "m.gguf", threads: 1 });
const measured = await engine.call("measure", { text: "", threads: 1 });
const chosen = { model, fit, plan, recipe: "Q4_K_M" };
const CANCELLED: Problem = { kind: "cancelled", message: "" };
const BROKEN: Problem = { kind: "bad-input", message: "config.json: is missing" };

const reading: Event = { type: "reading", name: "m", work: "read" };
const toPlanned: Event[] = [reading, { type: "opened", chosen }];
const toRunning: Event[] = [...toPlanned, { type: "started", work: "quantize" }];
const toDone: Event[] = [...toRunning, { type: "written", written }];

function after(...events: Event[]): State {
  return events.reduce(reduce, START);
}

it.each([
  ["empty", []],
  ["reading", [reading]],
  ["planned", toPlanned],
  ["running", toRunning],
  ["done", toDone],
  ["planned", [...toDone, { type: "again" }]],
  ["empty", [...toDone, { type: "reset" }]],
] as const)("is %s after %#", (at, events) => {
  expect(after(...(events as readonly Event[])).stage.at).toBe(at);
});

it("goes back to where a failure can be mended, and says what it was", () => {
  expect(after(reading, { type: "failed", problem: BROKEN })).toMatchObject({
    stage: { at: "empty" },
    problem: BROKEN,
  });
  expect(after(...toRunning, { type: "failed", problem: BROKEN })).toMatchObject({
    stage: { at: "planned", cancelled: false },
    problem: BROKEN,
  });
  expect(
    after(...toDone, { type: "tasked", name: "measure" }, { type: "failed", problem: BROKEN }),
  ).toMatchObject({
    stage: { at: "done", task: undefined },
    problem: BROKEN,
  });
  const crashed: Problem = { kind: "crashed", message: "" };
  expect(after(...toRunning, { type: "failed", problem: crashed }).stage.at).toBe("empty");
});

it("does not call it a problem that it was told to stop", () => {
  const state = after(...toRunning, { type: "stopping" });
  expect(state.stopping).toBe(true);
  const stopped = reduce(state, { type: "failed", problem: CANCELLED });
  expect(stopped).toMatchObject({ stage: { at: "planned", cancelled: true }, stopping: false });
  expect(stopped.problem).toBeUndefined();
  expect(after(...toPlanned, { type: "stopping" }).stopping).toBe(false);
});

it("keeps what it was told to stop while progress still comes", () => {
  const progress = { stage: "quantize", done: 1, total: 2 } as const;
  const state = after(...toRunning, { type: "stopping" }, { type: "progressed", progress, time: 1 });
  expect(state.stopping).toBe(true);
});

it("takes the plan of the last choice, however late others come", () => {
  const picked = after(...toPlanned, { type: "picked", recipe: "Q8_0" }, { type: "picked", recipe: "Q6_K" });
  expect(reduce(picked, { type: "planned", plan: other })).toBe(picked);
  const last: PlanInfo = { ...plan, recipe: "Q6_K" };
  expect(reduce(picked, { type: "planned", plan: last }).stage).toMatchObject({
    busy: false,
    chosen: { plan: last },
  });
});

it("ignores what comes when nobody waits for it", () => {
  for (const event of [
    { type: "opened", chosen },
    { type: "written", written },
    { type: "measured", measured },
    { type: "saved" },
    { type: "again" },
  ] as const satisfies readonly Event[]) {
    expect(after(event)).toEqual(START);
  }
});

it("notes what becomes of a file, one task at a time", () => {
  const state = after(
    ...toDone,
    { type: "tasked", name: "measure" },
    { type: "saved" }, // nobody was saving
    { type: "measured", measured },
  );
  expect(state.stage).toMatchObject({ made: { saved: false, measured }, task: undefined });
});

it("takes the device's memory for the first guess", () => {
  const device = { memory: 16e9 } as never;
  expect(after({ type: "examined", device }).target.memory).toBe(16e9);
});
