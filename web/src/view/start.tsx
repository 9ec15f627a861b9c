import { useRef, useState } from "preact/hooks";
import type { Device } from "../state/device.js";
import { fromFolder, fromInput } from "../state/files.js";
import type { State } from "../state/state.js";
import { Squeeze } from "./picture.js";
import type { Actions, Words } from "./props.js";

interface StartProps extends Words {
  readonly state: State;
  readonly actions: Actions;
}

/** The page before there is a model. */
export function StartView({ state, actions, ...words }: StartProps) {
  const { t } = words;
  const lack = state.device && lackOf(state.device, words);
  return (
    <>
      <div class="hero">
        <h1 tabIndex={-1} data-arrival="empty">
          {t.headline}
        </h1>
        <p class="lead">{t.lead}</p>
      </div>
      {lack === undefined ? (
        <Entrances dragged={state.dragged} device={state.device} actions={actions} {...words} />
      ) : (
        <section class="card warning">
          <h2 class="title">{t.browserOld}</h2>
          <p>{lack}</p>
        </section>
      )}
      <ul class="facts">
        {[
          [t.factPrivate, t.factPrivateText],
          [t.factExact, t.factExactText],
          [t.factMeasured, t.factMeasuredText],
        ].map(([title, text]) => (
          <li key={title}>
            <h2>{title}</h2>
            <p>{text}</p>
          </li>
        ))}
      </ul>
      {state.device && <Abilities device={state.device} actions={actions} {...words} />}
    </>
  );
}

/** Why nothing can be made here at all. */
function lackOf({ simd, canStore, secure }: Device, { t }: Words): string | undefined {
  if (!simd) return t.browserNoSimd;
  if (!secure) return t.browserInsecure;
  return canStore ? undefined : t.browserNoStorage;
}

/** Bytes of browsers' own bookkeeping: no model is so small. */
const NOTHING = 1e6;

interface AbilitiesProps extends Words {
  readonly device: Device;
  readonly actions: Actions;
}

function Abilities({ device, actions, t, f }: AbilitiesProps) {
  const room = device.room === undefined ? t.browserRoomUnknown : t.browserRoom(f.bytes(device.room));
  const measures = device.isolated ? t.browserMeasures : t.browserNoMeasure;
  return (
    <div class="abilities note">
      <p>
        {t.browserTitle}: {[t.browserThreads(String(device.threads)), room, measures].join(" · ")}
      </p>
      {device.used > NOTHING && (
        <p>
          {t.browserUsed(f.bytes(device.used))}{" "}
          <button type="button" class="quiet" onClick={() => actions.tidy()}>
            {t.tidy}
          </button>
        </p>
      )}
    </div>
  );
}

/** Every browser knows it, and Preact's types do not. */
const WHOLE_FOLDER = { webkitdirectory: true };

interface EntrancesProps extends Words {
  readonly dragged: boolean;
  readonly device: Device | undefined;
  readonly actions: Actions;
}

function Entrances({ dragged, device, actions, ...words }: EntrancesProps) {
  const { t } = words;
  const folder = useRef<HTMLInputElement>(null);
  const files = useRef<HTMLInputElement>(null);
  const chooseFolder = async () => {
    if (!device?.canPickFolder) return folder.current?.click();
    const handle = await window.showDirectoryPicker({ id: "model", mode: "read" }).catch(() => undefined);
    if (handle !== undefined) await actions.openPile(await fromFolder(handle));
  };
  const take = async ({ currentTarget }: { currentTarget: HTMLInputElement }) => {
    const pile = fromInput(currentTarget.files ?? []);
    currentTarget.value = ""; // so that the same choice counts again
    if (pile.files.length > 0) await actions.openPile(pile);
  };
  return (
    <div class="entrances">
      <section class={dragged ? "drop over" : "drop"} aria-labelledby="drop">
        <Squeeze />
        <h2 id="drop">{dragged ? t.dropNow : t.drop}</h2>
        <p class="note">{t.dropWhat}</p>
        <div class="buttons">
          <button type="button" class="main" onClick={chooseFolder}>
            {t.chooseFolder}
          </button>
          <button type="button" onClick={() => files.current?.click()}>
            {t.chooseFiles}
          </button>
        </div>
        <input
          ref={folder}
          hidden
          type="file"
          multiple
          onChange={take}
          data-input="folder"
          {...WHOLE_FOLDER}
        />
        <input ref={files} hidden type="file" multiple onChange={take} data-input="files" />
      </section>
      <HubEntrance actions={actions} {...words} />
    </div>
  );
}

/** As the Hub allows names; what stands behind them (a file, a revision) the engine looks at. */
const REFERENCE =
  /^(?:hf:|https:\/\/huggingface\.co\/)?([\w][\w.-]{0,95}\/[\w][\w.-]{0,95}(?:\/[^@\s]+)?(?:@\S+)?)\/?$/;

function HubEntrance({ actions, t }: Words & { readonly actions: Actions }) {
  const [isWrong, setWrong] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const token = useRef<HTMLInputElement>(null);
  const look = (event: Event) => {
    event.preventDefault();
    const [, reference] = REFERENCE.exec(field.current?.value.trim() ?? "") ?? [];
    setWrong(reference === undefined);
    if (reference === undefined) return field.current?.focus();
    return actions.openHub(reference, token.current?.value.trim() || undefined);
  };
  return (
    <form class="card hub" onSubmit={look} noValidate>
      <label for="hub">
        <h2>{t.hubLabel}</h2>
      </label>
      <div class="field">
        <input
          id="hub"
          ref={field}
          type="text"
          inputMode="url"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          placeholder={t.hubPlaceholder}
          aria-describedby={isWrong ? "hub-wrong hub-help" : "hub-help"}
          aria-invalid={isWrong}
          onInput={() => setWrong(false)}
        />
        <button type="submit">{t.hubGo}</button>
      </div>
      {isWrong && (
        <p id="hub-wrong" class="wrong" role="alert">
          {t.hubWrong}
        </p>
      )}
      <p id="hub-help" class="note">
        {t.hubHelp}
      </p>
      <details>
        <summary>{t.tokenTitle}</summary>
        <label class="stacked">
          {t.tokenLabel}
          <input ref={token} type="password" autocomplete="off" spellcheck={false} placeholder="hf_…" />
        </label>
        <p class="note">{t.tokenHelp}</p>
      </details>
    </form>
  );
}
