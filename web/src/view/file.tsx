import type { PlanInfo } from "../engine/protocol.js";
import { type GroupSum, sumGroups, total } from "../state/groups.js";
import type { Stage, State } from "../state/state.js";
import type { Texts } from "../texts/index.js";
import type { Actions, Words } from "./props.js";
import { Work } from "./work.js";

interface FileProps extends Words {
  readonly stage: Extract<Stage, { at: "planned" | "running" }>;
  readonly state: State;
  readonly actions: Actions;
}

/** What will be written, and the button that has it written. */
export function FileView({ stage, state, actions, ...words }: FileProps) {
  const { t, f } = words;
  const { plan, model } = stage.chosen;
  const needed = plan.byteLength + model.toFetch;
  const room = state.device?.room;
  const isTooLarge = room !== undefined && needed > room;
  const isRunning = stage.at === "running";
  return (
    <section class="card" aria-labelledby="file" aria-busy={stage.at === "planned" && stage.busy}>
      <h2 id="file" class="title" {...(isRunning ? { tabIndex: -1, "data-arrival": "running" } : {})}>
        {isRunning ? t.running : t.fileTitle}
      </h2>
      <Sizes plan={plan} {...words} />
      {isRunning ? (
        <>
          <Work pace={stage.pace} stopping={state.stopping} onStop={() => actions.cancel()} {...words} />
          <p class="note">{t.keepOpen}</p>
        </>
      ) : (
        <>
          {stage.cancelled && <p class="said">{t.cancelled}</p>}
          {isTooLarge && (
            <p id="no-room" class="wrong">
              {t.noRoom(f.bytes(needed), f.bytes(room))}
            </p>
          )}
          <div class="buttons">
            <button
              type="button"
              class="main"
              disabled={isTooLarge || stage.busy}
              aria-describedby={isTooLarge ? "no-room" : undefined}
              onClick={() => actions.make()}
            >
              {t.make(f.bytes(plan.byteLength))}
            </button>
          </div>
        </>
      )}
      <Groups plan={plan} {...words} />
      <Tensors plan={plan} {...words} />
      {plan.remarks.length > 0 && (
        <details>
          <summary>{t.remarks}</summary>
          <ul class="remarks">
            {plan.remarks.map((remark) => (
              <li key={remark}>{remark}</li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

const NAMES = {
  embedding: "groupEmbedding",
  attention: "groupAttention",
  feedForward: "groupFeedForward",
  experts: "groupExperts",
  mixer: "groupMixer",
  norms: "groupNorms",
  output: "groupOutput",
  other: "groupOther",
  header: "header",
} as const satisfies Record<GroupSum["group"], keyof Texts>;

/** The model as it is and as it will be, in bars of one scale. */
export function Sizes({ plan, t, f }: Words & { readonly plan: PlanInfo }) {
  const sums = sumGroups(plan);
  const before = total(sums, (sum) => sum.bytesBefore);
  const scale = Math.max(before, plan.byteLength);
  const bar = (name: string, bytes: number, of: (sum: GroupSum) => number) => (
    <div class="sizes-row">
      <span>{name}</span>
      <div class="stack" aria-hidden="true">
        {sums.map((sum) => (
          <span
            key={sum.group}
            class={`part ${sum.group}`}
            style={{ width: `${(100 * of(sum)) / scale}%` }}
          />
        ))}
      </div>
      <strong class="figure">{f.bytes(bytes)}</strong>
    </div>
  );
  const times = before / plan.byteLength;
  return (
    <div class="sizes">
      {bar(t.before, before, (sum) => sum.bytesBefore)}
      {bar(t.after, plan.byteLength, (sum) => sum.bytesAfter)}
      <p class="note">
        {[
          plan.recipe,
          t.bitsPerWeight(f.decimal(plan.bitsPerWeight, 2)),
          times > 1.05 ? t.smaller(f.decimal(times, 1)) : undefined,
        ]
          .filter((each) => each !== undefined)
          .join(" · ")}
      </p>
    </div>
  );
}

function Groups({ plan, t, f }: Words & { readonly plan: PlanInfo }) {
  const sums = sumGroups(plan);
  return (
    <table class="groups">
      <caption class="unseen">{t.fileTitle}</caption>
      <thead>
        <tr>
          {[t.part, t.tensors, t.types, t.before, t.after].map((name) => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {sums.map((sum) => (
          <tr key={sum.group}>
            <th scope="row">
              <span class={`swatch ${sum.group}`} aria-hidden="true" />
              {t[NAMES[sum.group]]}
            </th>
            <td>{sum.count > 0 && f.decimal(sum.count, 0)}</td>
            <td class="types">{sum.to.length > 0 && <TypeChange from={sum.from} to={sum.to} t={t} />}</td>
            <td>{sum.bytesBefore > 0 && f.bytes(sum.bytesBefore)}</td>
            <td>{f.bytes(sum.bytesAfter)}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">{t.total}</th>
          <td>{f.decimal(plan.tensors.length, 0)}</td>
          <td class="types">{plan.recipe}</td>
          <td>{f.bytes(total(sums, (sum) => sum.bytesBefore))}</td>
          <td>{f.bytes(plan.byteLength)}</td>
        </tr>
      </tfoot>
    </table>
  );
}

function TypeChange({
  from,
  to,
  t,
}: {
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly t: Texts;
}) {
  const [a, b] = [from.join(", "), to.join(", ")];
  if (a === b) return b;
  return (
    <>
      <span aria-hidden="true">
        {a} → {b}
      </span>
      <span class="unseen">{t.typesFromTo(a, b)}</span>
    </>
  );
}

/** Rows of the long table: of a model with thousands of experts a page would get slow. */
const MAX_ROWS = 500;

function Tensors({ plan, t, f }: Words & { readonly plan: PlanInfo }) {
  const shown = plan.tensors.slice(0, MAX_ROWS);
  const left = plan.tensors.length - shown.length;
  return (
    <details class="every">
      <summary>{t.everyTensor(f.decimal(plan.tensors.length, 0))}</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard */}
      <section class="scroll" tabIndex={0} aria-label={t.everyTensor(String(plan.tensors.length))}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t.tensor}</th>
              <th scope="col">{t.shape}</th>
              <th scope="col">{t.types}</th>
              <th scope="col">{t.after}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((tensor) => (
              <tr key={tensor.name}>
                <th scope="row">{tensor.name}</th>
                <td>{tensor.shape.join(" × ")}</td>
                <td>
                  <TypeChange from={[tensor.from]} to={[tensor.to]} t={t} />
                </td>
                <td>{f.bytes(tensor.bytesAfter)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {left > 0 && <p class="note">{t.moreTensors(f.decimal(left, 0))}</p>}
      </section>
    </details>
  );
}
