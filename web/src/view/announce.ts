import { shareDone } from "../state/pace.js";
import type { State } from "../state/state.js";
import type { Language } from "../texts/index.js";
import { stageText } from "./stage-text.js";

/** Progress is said aloud in steps of this share: every percent would drown all else. */
const STEP = 0.25;

/** What a screen reader says when it changes. */
export function announcement(
  { stage, problem, stopping, dragged }: State,
  { texts: t, formats: f }: Language,
): string {
  if (problem !== undefined) return ""; // which is an alert of its own
  if (stopping) return t.stopping;
  if (dragged) return t.dropNow;
  switch (stage.at) {
    case "empty":
      return "";
    case "reading":
      return t.reading(stage.name);
    case "planned":
      if (stage.cancelled) return t.cancelled;
      return stage.busy
        ? ""
        : `${t.fileTitle}: ${stage.chosen.plan.recipe}, ${f.bytes(stage.chosen.plan.byteLength)}`;
    case "running":
      return stepText(stage.pace, t, f);
    case "done": {
      const { task, made } = stage;
      if (task !== undefined) return stepText(task.pace, t, f);
      if (made.measured !== undefined) return `${t.sameTop}: ${f.percent(made.measured.sameTop.value, 1)}`;
      if (made.verified?.wrong.length === 0) return t.verifiedAll(String(made.verified.tensors));
      return made.saved ? t.saved : `${t.doneTitle}: ${made.written.name}`;
    }
  }
}

function stepText(
  pace: Parameters<typeof shareDone>[0],
  t: Language["texts"],
  f: Language["formats"],
): string {
  const share = shareDone(pace) ?? 0;
  const step = Math.floor(share / STEP) * STEP;
  const what = stageText(t, pace.stage);
  return step === 0 ? what : `${what}: ${t.percentDone(f.percent(step))}`;
}
