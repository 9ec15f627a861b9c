import type { Problem } from "../engine/protocol.js";
import type { Actions, Words } from "./props.js";

interface ProblemProps extends Words {
  readonly problem: Problem;
  readonly actions: Actions;
}

/** What went wrong, and what to do next. */
export function ProblemView({ problem, actions, t, f }: ProblemProps) {
  const { kind, said, message, hint, needed, available } = problem;
  if (kind === "cancelled") return null;
  const title = t[`problem${capital(kind)}`];
  const next = t[`next${capital(kind)}`];
  const canTidy = kind === "quota";
  return (
    <section class="card problem" role="alert" aria-labelledby="problem">
      <h2 id="problem" class="title" tabIndex={-1} data-arrival="problem">
        {title}
      </h2>
      {said !== undefined && <p class="message">{t[said]}</p>}
      {message !== "" && <p class="message where">{message}</p>}
      {needed !== undefined && available !== undefined && (
        <p>{t.quotaNumbers(f.bytes(needed), f.bytes(available))}</p>
      )}
      {hint !== undefined && <p class="message">{hint}</p>}
      {said !== "nothingDropped" && <p class="note">{next}</p>}
      <div class="buttons">
        {said !== "nothingDropped" && (
          <button type="button" class="main" onClick={() => actions.retry()}>
            {t.retry}
          </button>
        )}
        {canTidy && (
          <button type="button" onClick={() => actions.tidy()}>
            {t.tidy}
          </button>
        )}
        <button type="button" class="quiet" onClick={() => actions.dismiss()}>
          {t.dismiss}
        </button>
      </div>
    </section>
  );
}

function capital<K extends string>(word: K): Capitalize<K> {
  return (word.charAt(0).toUpperCase() + word.slice(1)) as Capitalize<K>;
}
