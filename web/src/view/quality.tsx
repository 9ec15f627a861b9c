import { useRef, useState } from "preact/hooks";
import sample from "../../../samples/text.txt?url";
import type { Estimate, Measured } from "../engine/protocol.js";
import { isolate } from "../state/device.js";
import type { DoneProps } from "./done.js";
import type { Words } from "./props.js";
import { Work } from "./work.js";

/** Characters that two chunks take about: less says nothing. */
const MIN_TEXT = 1500;

/** Divergences, in nats a token, up to which a model is hardly, and a little, another. */
const SAME = 0.02;
const CLOSE = 0.1;

/** What the small file has lost, on a text of the user's. */
export function QualityView({ stage, state, actions, ...words }: DoneProps) {
  const { t, f } = words;
  const { task, made } = stage;
  const [text, setText] = useState("");
  const [isShort, setShort] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const put = (next: string) => {
    setText(next);
    setShort(false);
  };
  const measure = () => {
    if (text.length < MIN_TEXT) return setShort(true);
    return actions.measure(text);
  };
  return (
    <section class="card" aria-labelledby="quality">
      <h2 id="quality" class="title">
        {t.qualityTitle}
      </h2>
      {state.device?.isolated === false ? (
        <Isolation canIsolate={state.device.canIsolate} {...words} />
      ) : (
        <>
          <p class="note">{t.qualityLead}</p>
          <label class="stacked" for="text">
            {t.textLabel}
          </label>
          <textarea
            id="text"
            rows={6}
            value={text}
            placeholder={t.textPlaceholder}
            disabled={task !== undefined}
            aria-describedby={isShort ? "text-short" : undefined}
            aria-invalid={isShort}
            onInput={({ currentTarget }) => put(currentTarget.value)}
          />
          <div class="buttons">
            <button type="button" class="main" disabled={task !== undefined} onClick={measure}>
              {t.measure}
            </button>
            <button
              type="button"
              disabled={task !== undefined}
              onClick={async () => put(await (await fetch(sample)).text())}
            >
              {t.useSample}
            </button>
            <button type="button" disabled={task !== undefined} onClick={() => file.current?.click()}>
              {t.openText}
            </button>
            <input
              ref={file}
              hidden
              type="file"
              accept=".txt,.md,.raw,text/*"
              data-input="text"
              onChange={async ({ currentTarget }) => {
                const [chosen] = currentTarget.files ?? [];
                currentTarget.value = "";
                if (chosen !== undefined) put(await chosen.text());
              }}
            />
            {text !== "" && <span class="note">{t.characters(f.decimal(text.length, 0))}</span>}
          </div>
          {isShort && (
            <p id="text-short" class="wrong" role="alert">
              {t.textShort}
            </p>
          )}
          {task?.name === "measure" && (
            <Work pace={task.pace} stopping={state.stopping} onStop={() => actions.cancel()} {...words} />
          )}
          {made.measured !== undefined && task?.name !== "measure" && (
            <Results measured={made.measured} {...words} />
          )}
        </>
      )}
    </section>
  );
}

function Results({ measured, t, f }: Words & { readonly measured: Measured }) {
  const { before, after, divergence, sameTop, tokens, seconds } = measured;
  const percent = f.percent(sameTop.value, 1);
  const verdict =
    divergence.value < SAME
      ? t.verdictSame(percent)
      : divergence.value < CLOSE
        ? t.verdictClose(percent)
        : t.verdictFar(percent);
  const number = ({ value, error }: Estimate, digits: number) =>
    error === undefined
      ? f.decimal(value, digits)
      : t.plusMinus(f.decimal(value, digits), f.decimal(error, digits));
  const tiles = [
    [t.pplBefore, before.value, number(before, 3), t.pplHelp],
    [t.pplAfter, after.value, number(after, 3), t.pplHelp],
    [t.divergence, divergence.value, number(divergence, 4), t.divergenceHelp],
    [t.sameTop, sameTop.value, percent, t.sameTopHelp],
  ] as const;
  return (
    <div class="results">
      <p class="verdict">{verdict}</p>
      <dl class="tiles">
        {tiles.map(([name, value, text, help]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="figure">
              <data value={String(value)}>{text}</data>
            </dd>
            <dd class="note">{help}</dd>
          </div>
        ))}
      </dl>
      <p class="note">{t.measuredOver(f.decimal(tokens, 0), f.duration(seconds))}</p>
    </div>
  );
}

const HEADERS = "Cross-Origin-Opener-Policy: same-origin\nCross-Origin-Embedder-Policy: require-corp";

function Isolation({ canIsolate, t }: Words & { readonly canIsolate: boolean }) {
  return (
    <>
      <h3>{t.isolationTitle}</h3>
      <p>{t.isolationText}</p>
      {canIsolate && (
        <div class="buttons">
          <button type="button" onClick={() => isolate()}>
            {t.isolationTry}
          </button>
          <span class="note">{t.isolationTryHelp}</span>
        </div>
      )}
      <p class="note host">{t.isolationHost}</p>
      <pre>
        <code>{HEADERS}</code>
      </pre>
    </>
  );
}
