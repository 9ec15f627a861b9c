import { useState } from "preact/hooks";
import type { Stage, State } from "../state/state.js";
import { Sizes } from "./file.js";
import type { Actions, Words } from "./props.js";
import { Work } from "./work.js";

export interface DoneProps extends Words {
  readonly stage: Extract<Stage, { at: "done" }>;
  readonly state: State;
  readonly actions: Actions;
}

/** The file that was made: its checksum, whether it is right, and how to get hold of it. */
export function DoneView({ stage, state, actions, ...words }: DoneProps) {
  const { t, f } = words;
  const { made, task, chosen } = stage;
  const { written, verified } = made;
  const isBusy = task !== undefined;
  return (
    <section class="card done" aria-labelledby="done">
      <div class="head">
        <div>
          <p class="eyebrow good">
            <Check /> {t.doneTitle}
          </p>
          <h2 id="done" class="title" tabIndex={-1} data-arrival="done">
            {written.name}
          </h2>
          <p class="note">
            {f.bytes(written.byteLength)} · {t.doneIn(f.duration(written.seconds))}
          </p>
        </div>
        <div class="buttons">
          <button type="button" class="main" disabled={isBusy} onClick={() => actions.save()}>
            {state.device?.canPickTarget ? t.save : t.download}
          </button>
          <button
            type="button"
            disabled={isBusy}
            onClick={() => actions.verify()}
            aria-describedby="verify-help"
          >
            {t.verify}
          </button>
        </div>
      </div>
      <p id="verify-help" class="note">
        {made.saved ? `${t.saved}. ${t.savedHelp}` : state.device?.canPickTarget ? "" : t.downloadHelp}{" "}
        {verified === undefined && `${t.verify}: ${t.verifyHelp}`}
      </p>
      {task !== undefined && task.name !== "measure" && (
        <Work pace={task.pace} stopping={state.stopping} onStop={() => actions.cancel()} {...words} />
      )}
      {verified !== undefined && verified.wrong.length === 0 && (
        <p class="said good">
          <Check /> {t.verifiedAll(f.decimal(verified.tensors, 0))}
        </p>
      )}
      {verified !== undefined && verified.wrong.length > 0 && (
        <div class="wrong" role="alert">
          <p>{t.verifiedWrong(f.decimal(verified.wrong.length, 0))}</p>
          <ul class="remarks">
            {verified.wrong.slice(0, 10).map(({ name, faults }) => (
              <li key={name}>
                <code>{name}</code>: {faults.join("; ")}
              </li>
            ))}
          </ul>
        </div>
      )}
      <Sizes plan={chosen.plan} {...words} />
      <Checksum value={written.sha256} {...words} />
      <p class="note">{t.sameCommand}</p>
      <pre>
        <code>{commandOf(chosen.model.name, chosen.recipe, written.name)}</code>
      </pre>
      <p class="note">{t.useTitle}</p>
      <pre>
        <code>{`llama-cli -m ${quoted(written.name)}\nllq generate ${quoted(written.name)} --chat`}</code>
      </pre>
      <div class="buttons end">
        <button type="button" disabled={isBusy} onClick={() => actions.again()}>
          {t.anotherSize}
        </button>
        <button type="button" class="quiet" disabled={isBusy} onClick={() => actions.reset()}>
          {t.remove}
        </button>
      </div>
    </section>
  );
}

export function Check() {
  return (
    <svg class="check" viewBox="0 0 16 16" aria-hidden="true">
      <path
        d="M3 8.5 6.5 12 13 4.5"
        fill="none"
        stroke="currentColor"
        stroke-width="2.2"
        stroke-linecap="round"
      />
    </svg>
  );
}

function commandOf(model: string, recipe: string, name: string): string {
  return `llq quantize ${quoted(model)} --type ${recipe} -o ${quoted(name)}`;
}

/** As a shell takes it. */
function quoted(word: string): string {
  return /^[\w./:@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function Checksum({ value, t }: Words & { readonly value: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(value).then(
      () => setCopied(true),
      () => {},
    );
  };
  return (
    <div class="checksum">
      <span class="note">{t.sha256}</span>
      <code>{value}</code>
      <button type="button" class="quiet" onClick={copy} aria-label={t.copySum}>
        {isCopied ? t.copied : t.copy}
      </button>
    </div>
  );
}
