import type { FitRow } from "../engine/protocol.js";
import { commonRows } from "../state/choice.js";
import type { Chosen, Target } from "../state/state.js";
import type { Texts } from "../texts/index.js";
import type { Actions, Words } from "./props.js";

interface SizeProps extends Words {
  readonly chosen: Chosen;
  readonly target: Target;
  readonly locked: boolean;
  readonly actions: Actions;
}

const MEANINGS: Readonly<Record<string, keyof Texts>> = {
  2: "recipeMeaning2",
  3: "recipeMeaning3",
  4: "recipeMeaning4",
  5: "recipeMeaning5",
  6: "recipeMeaning6",
  8: "recipeMeaning8",
};

/** Which mix, beside what the device has room for. */
export function SizeView({ chosen, target, locked, actions, t, f }: SizeProps) {
  const { fit, recipe } = chosen;
  const common = commonRows(fit);
  const isOther = !common.some(({ row }) => row.recipe === recipe);
  const scale = scaleOf(fit.rows, target.memory);
  const row = (each: FitRow, bits?: string) => (
    <Choice
      key={each.recipe}
      row={each}
      name={bits === undefined ? each.recipe : t.bits(bits)}
      meaning={bits === undefined ? "" : (t[MEANINGS[bits]!] as string)}
      group={bits === undefined ? "any" : "bits"}
      isChosen={each.recipe === recipe}
      {...{ scale, target, t, f }}
      onChoose={() => actions.pick(each.recipe)}
    />
  );
  return (
    <section class="card" aria-labelledby="size">
      <h2 id="size" class="title">
        {t.sizeTitle}
      </h2>
      <p class="note">{t.sizeLead}</p>
      <fieldset class="plain" disabled={locked}>
        <legend class="unseen">{t.sizeTitle}</legend>
        <Aim {...{ target, actions, t, f }} longest={chosen.model.contextLength} used={fit.context} />
        <div class="choices">{common.map((each) => row(each.row, each.bits))}</div>
        {!fit.rows.some(({ fits }) => fits) && <p class="wrong">{t.nothingFits}</p>}
        <p class="note legend" aria-hidden="true">
          {[
            ["weights", t.legendWeights],
            ["run", t.legendRun],
            ...(target.memory < scale ? [["limit", t.memoryLine(f.bytes(target.memory))]] : []),
          ].map(([name, text]) => (
            <span key={name}>
              <span class={`key ${name}`} />
              {text}
            </span>
          ))}
        </p>
        <details open={isOther}>
          <summary>{t.otherMixes(String(fit.rows.length))}</summary>
          <p class="note">{t.otherMixesLead}</p>
          <div class="choices">{fit.rows.map((each) => row(each))}</div>
        </details>
      </fieldset>
    </section>
  );
}

/** Bytes that a full bar stands for. A memory that is far larger than any file would make specks of the files. */
function scaleOf(rows: readonly FitRow[], memory: number): number {
  const common = rows.filter(({ bitsPerWeight }) => bitsPerWeight < 10);
  const largest = Math.max(...(common.length > 0 ? common : rows).map(({ totalBytes }) => totalBytes));
  return 1.04 * (memory < 2 * largest ? Math.max(memory, largest) : largest);
}

interface ChoiceProps extends Words {
  readonly row: FitRow;
  readonly name: string;
  readonly meaning: string;
  readonly group: string;
  readonly isChosen: boolean;
  readonly scale: number;
  readonly target: Target;
  readonly onChoose: () => void;
}

function Choice({ row, name, meaning, group, isChosen, scale, target, onChoose, t, f }: ChoiceProps) {
  const width = (bytes: number) => `${Math.min(100, (100 * bytes) / scale)}%`;
  const verdict = row.fits ? t.fits : t.fitsNot;
  return (
    <label class={row.fits ? "choice" : "choice large"}>
      <input type="radio" name={`recipe-${group}`} checked={isChosen} onChange={onChoose} />
      <span class="choice-name">
        <strong>{name}</strong>
        <span class="note">{meaning}</span>
      </span>
      <span class="choice-bar" aria-hidden="true">
        <span class="run" style={{ width: width(row.totalBytes) }} />
        <span class="weights" style={{ width: width(row.weightBytes) }} />
        {target.memory < scale && <span class="limit" style={{ left: width(target.memory) }} />}
      </span>
      <span class="choice-size">{f.bytes(row.weightBytes)}</span>
      <span class="choice-fit">
        <span class={row.fits ? "tag good" : "tag bad"}>{verdict}</span>
        <span class="unseen"> {t.takes(f.bytes(row.totalBytes))}</span>
      </span>
    </label>
  );
}

interface AimProps extends Words {
  readonly target: Target;
  /** Tokens that the model was trained for. */
  readonly longest: number;
  /** Tokens that are reckoned with. */
  readonly used: number;
  readonly actions: Actions;
}

const GB = 1e9;
const CONTEXTS = [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144];

/** Where it will run: how much memory, how long a text. */
function Aim({ target, longest, used, actions, t, f }: AimProps) {
  const contexts = CONTEXTS.filter((tokens) => tokens <= longest);
  return (
    <div class="aim">
      <label>
        <span>{t.memoryLabel}</span>
        <span class="field">
          <input
            type="number"
            min="0.5"
            max="4096"
            step="0.5"
            value={Number((target.memory / GB).toFixed(2))}
            aria-describedby="memory-help"
            onChange={({ currentTarget }) => {
              const value = currentTarget.valueAsNumber;
              if (value > 0) actions.aim({ ...target, memory: value * GB });
            }}
          />
          <span class="unit">{t.memoryUnit}</span>
        </span>
      </label>
      <label>
        <span>{t.contextLabel}</span>
        <select
          value={target.context ?? ""}
          onChange={({ currentTarget: { value } }) =>
            actions.aim({ ...target, context: value === "" ? undefined : Number(value) })
          }
        >
          <option value="">
            {t.contextAuto}:{" "}
            {t.tokens(f.decimal(target.context === undefined ? used : Math.min(4096, longest), 0))}
          </option>
          {contexts.map((tokens) => (
            <option key={tokens} value={tokens}>
              {t.tokens(f.decimal(tokens, 0))}
            </option>
          ))}
        </select>
      </label>
      <p id="memory-help" class="note">
        {t.memoryGuess}
      </p>
    </div>
  );
}
