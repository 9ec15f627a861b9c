import { type Pace, secondsLeft, shareDone } from "../state/pace.js";
import type { Actions, Words } from "./props.js";
import { stageText } from "./stage-text.js";

/** Stages whose amount is bytes; of others it is something that people do not count in. */
const IN_BYTES: ReadonlySet<string> = new Set(["fetch", "save", "hash"]);

interface WorkProps extends Words {
  readonly pace: Pace;
  readonly stopping: boolean;
  readonly onStop: () => void;
}

/** A bar, what is going on, and how long it will. */
export function Work({ pace, stopping, onStop, t, f }: WorkProps) {
  const share = shareDone(pace);
  const left = secondsLeft(pace);
  const what = stageText(t, pace.stage);
  const amount =
    share !== undefined && IN_BYTES.has(pace.stage)
      ? t.ofAmount(f.bytes(pace.done), f.bytes(pace.total))
      : undefined;
  return (
    <div class="work">
      <div class="work-line">
        <strong>{stopping ? t.stopping : what}</strong>
        <span class="figure">{share === undefined ? "" : f.percent(share)}</span>
      </div>
      <div
        class={share === undefined ? "bar waiting" : "bar"}
        role="progressbar"
        aria-label={what}
        aria-valuemin={0}
        aria-valuemax={100}
        {...(share === undefined ? {} : { "aria-valuenow": Math.round(100 * share) })}
      >
        <div {...(share === undefined ? {} : { style: { width: `${100 * share}%` } })} />
      </div>
      <div class="work-line">
        <span class="note">
          {[amount, left === undefined || stopping ? undefined : t.left(f.duration(left))]
            .filter((each) => each !== undefined)
            .join(" · ") || "\u00a0"}
        </span>
        <button type="button" class="quiet" disabled={stopping} onClick={onStop}>
          {t.stop}
        </button>
      </div>
    </div>
  );
}

interface ReadingProps extends Words {
  readonly name: string;
  readonly pace: Pace;
  readonly stopping: boolean;
  readonly actions: Actions;
}

export function ReadingView({ name, pace, stopping, actions, ...words }: ReadingProps) {
  return (
    <section class="card" aria-labelledby="reading">
      <h1 id="reading" class="title" tabIndex={-1} data-arrival="reading">
        {words.t.reading(name)}
      </h1>
      <Work pace={pace} stopping={stopping} onStop={() => actions.cancel()} {...words} />
    </section>
  );
}
