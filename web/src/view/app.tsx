import { useEffect, useRef } from "preact/hooks";
import { shareDone } from "../state/pace.js";
import { isBusy, type State } from "../state/state.js";
import { LANGUAGES, type Language } from "../texts/index.js";
import { announcement } from "./announce.js";
import { DoneView } from "./done.js";
import { FileView } from "./file.js";
import { ModelView } from "./model.js";
import { ProblemView } from "./problem.js";
import type { Actions, Words } from "./props.js";
import { QualityView } from "./quality.js";
import { SizeView } from "./size.js";
import { StartView } from "./start.js";
import { ReadingView } from "./work.js";

interface AppProps {
  readonly state: State;
  readonly language: Language;
  readonly actions: Actions;
  readonly speak: (language: Language) => void;
}

export function App({ state, language, actions, speak }: AppProps) {
  const { stage, problem } = state;
  const { texts, formats } = language;
  const words: Words = { t: texts, f: formats };
  useTitle(state, language);
  useFocus(problem === undefined ? stage.at : "problem");
  return (
    <>
      <a class="skip" href="#main">
        {texts.skip}
      </a>
      <header class="top">
        <span class="mark">llq</span>
        <LanguageChoice language={language} speak={speak} />
      </header>
      <main id="main">
        {problem && <ProblemView problem={problem} actions={actions} {...words} />}
        {stage.at === "empty" && <StartView state={state} actions={actions} {...words} />}
        {stage.at === "reading" && (
          <ReadingView
            name={stage.name}
            pace={stage.pace}
            stopping={state.stopping}
            actions={actions}
            {...words}
          />
        )}
        {"chosen" in stage && (
          <>
            <ModelView model={stage.chosen.model} locked={isBusy(stage)} actions={actions} {...words} />
            {stage.at !== "done" && (
              <SizeView
                chosen={stage.chosen}
                target={state.target}
                locked={stage.at === "running"}
                actions={actions}
                {...words}
              />
            )}
            {stage.at === "done" ? (
              <>
                <DoneView stage={stage} state={state} actions={actions} {...words} />
                <QualityView stage={stage} state={state} actions={actions} {...words} />
              </>
            ) : (
              <FileView stage={stage} state={state} actions={actions} {...words} />
            )}
          </>
        )}
      </main>
      <footer>{texts.footer}</footer>
      <p class="unseen" role="status">
        {announcement(state, language)}
      </p>
    </>
  );
}

function LanguageChoice({ language, speak }: Pick<AppProps, "language" | "speak">) {
  return (
    <fieldset class="languages">
      <legend class="unseen">{language.texts.language}</legend>
      {LANGUAGES.map((each) => (
        <label key={each.code} lang={each.tag}>
          <input
            type="radio"
            name="language"
            checked={each.code === language.code}
            onChange={() => speak(each)}
          />
          <span>{each.name}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** The title of the tab says how far the work is: people look at other tabs meanwhile. */
function useTitle({ stage }: State, { texts, formats }: Language): void {
  const pace = stage.at === "running" || stage.at === "reading" ? stage.pace : undefined;
  const share = pace && shareDone(pace);
  const title = share === undefined ? texts.title : `${formats.percent(share)} · ${texts.title}`;
  useEffect(() => {
    document.title = title;
  }, [title]);
}

/** What is new on the page gets the focus, so that the keyboard and the screen reader are where the eye is. */
function useFocus(place: string): void {
  const last = useRef(place);
  useEffect(() => {
    if (last.current === place) return;
    last.current = place;
    document.querySelector<HTMLElement>(`[data-arrival="${place}"]`)?.focus();
  }, [place]);
}
