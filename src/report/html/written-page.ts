import { escapeXml } from "../../escape.js";
import type { Answered } from "../../eval-gen/evaluate.js";
import { describeWrittenVerdict } from "../../eval-gen/gate.js";
import type { PairedRun } from "../../eval-gen/pairs.js";
import type { FiledQuestion } from "../../eval-gen/questions.js";
import { t } from "../../language/t.js";
import { interval, percent } from "../shares.js";
import { type WrittenReport, writtenExtent, writtenMeasures } from "../written.js";
import { details, note, table } from "./elements.js";
import { type Made, madeText } from "./made.js";
import { distinctNames } from "./names.js";
import { section, standalonePage } from "./shell.js";

/** What stands behind the numbers. */
export interface Asked {
  readonly questions: readonly FiledQuestion[];
  readonly base: PairedRun | undefined;
}

/** Questions of each kind that are shown in full. */
const MAX_SHOWN = 100;

const WRITTEN_STYLE = `
pre { margin: 6px 0 12px; padding: 10px 12px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--paper); border: 1px solid var(--rule); border-radius: 6px; font-size: 0.85rem; line-height: 1.45; }
.share { display: flex; height: 18px; margin: 12px 0 8px; border-radius: 4px; overflow: hidden; }
.share i { display: block; background: var(--grid); }
.share .both { background: var(--fill); }
.share .gained { background: var(--accent); }
.share .lost { background: var(--mean); }
h4 { margin: 12px 0 0; font-size: 0.85rem; font-weight: 600; }
`;

/**
 * A page that stands alone: how many answers are right, and beside a base the questions that turned, with what both wrote.
 * Nothing in it is loaded from elsewhere, nothing runs; the same result gives the same bytes, but for when and where it was made.
 */
export function writtenPage(report: WrittenReport, asked: Asked, made?: Made): string {
  const { model, base, result, paired, verdicts } = report;
  const [name, baseName] = distinctNames([model, ...(base === undefined ? [] : [base])]);
  const what = baseName === undefined ? name : t`${name} compared with ${baseName}`;
  const title = `${report.title}: ${what}`;
  const groups = Object.entries(result.groups).map(([group, share]) => [group, interval(share)]);
  const accuracy = [
    verdicts.map((verdict) => `<p>${escapeXml(describeWrittenVerdict(verdict))}</p>`).join("\n"),
    table([t`score`, t`share`], writtenMeasures({ ...report, paired: undefined }), "words"),
    groups.length === 0 ? "" : details(t`By part`, table([t`part`, result.counts], groups, "words")),
  ];
  const main = [
    section("accuracy", t`Right answers`, accuracy.join("\n")),
    paired === undefined || asked.base === undefined ? "" : turned(report, paired, asked, asked.base),
  ];
  return standalonePage({
    title,
    style: WRITTEN_STYLE,
    header: `<p class="lead">${escapeXml(writtenExtent(report))}</p>`,
    main: main.join("\n"),
    footer: `${madeText(made)} ${t`Nothing that a model wrote was executed.`}`,
  });
}

function turned(
  { result }: WrittenReport,
  { both, neither, lost, gained, drop, error, p, needed }: NonNullable<WrittenReport["paired"]>,
  { questions }: Asked,
  base: PairedRun,
): string {
  const n = result.questions.length;
  const parts = [["both", both], ["gained", gained.length], ["lost", lost.length], ["neither", neither]] as const; // biome-ignore format: pairs
  const bar = parts.map(
    ([kind, count]) => `<i class="${kind}" style="width:${((100 * count) / n).toFixed(3)}%"></i>`,
  );
  const label = t`right in both ${both}, gained ${gained.length}, lost ${lost.length}, wrong in both ${neither}`;
  const byId = <T extends { readonly id: string }>(all: readonly T[]) =>
    new Map(all.map((each) => [each.id, each]));
  const [asked, own, before] = [byId(questions), byId(result.questions), byId(base.questions)];
  const list = (kind: string, ids: readonly string[]) => {
    const cards = ids
      .slice(0, MAX_SHOWN)
      .map((id) => card(id, asked.get(id), before.get(id)!, own.get(id)!, result.counts));
    const left = ids.length - cards.length;
    return `<h3>${escapeXml(kind)}: ${ids.length}</h3>
${cards.join("\n")}${left > 0 ? note(t`And ${left} more, which --json names.`) : ""}`;
  };
  const beside = [
    `<div class="share" role="img" aria-label="${escapeXml(label)}">${bar.join("")}</div>`,
    note(
      t`Of ${n} questions: ${label}. The drop is ${percent(drop)} ± ${percent(error)}; were turns a coin's, as many to one side would come with a probability of ${p.toPrecision(3)} (McNemar, exact).`,
    ),
    table(
      [t`a loss of`, t`is seen with`],
      needed.map(({ loss, questions: count }) => [percent(loss), t`${count} questions`]),
    ),
    note(
      t`Questions that it takes to see a loss with a chance of 80 %, when as many turn as have turned here.`,
    ),
  ];
  const lists =
    lost.length + gained.length === 0 ? note(t`None.`) : `${list(t`Lost`, lost)}\n${list(t`Gained`, gained)}`;
  return [
    section("beside", t`Beside the base, question by question`, beside.join("\n")),
    section("turned", t`Questions that turned`, lists),
  ].join("\n");
}

function card(
  id: string,
  question: FiledQuestion | undefined,
  before: Answered,
  own: Answered,
  counts: string,
): string {
  const said = ({ text, scores, finish }: Answered) => {
    const end = finish === "length" ? t` (cut off)` : "";
    return `<h4>${escapeXml(t`read as: ${scores[counts]?.answer ?? ""}${end}`)}</h4>${block(text)}`;
  };
  const asked =
    question === undefined
      ? ""
      : `${block(question.prompt)}<h4>${escapeXml(t`Right is`)}</h4>${block(question.gold.join("\n"))}`;
  const summary = `${id}${own.group === "" ? "" : `, ${own.group}`}`;
  return details(
    summary,
    `${asked}<div class="pair"><div><h4>${escapeXml(t`The base`)}</h4>${said(before)}</div><div><h4>${escapeXml(t`The model`)}</h4>${said(own)}</div></div>`,
  );
}

/** Text as it stands, line by line: other control characters are shown. */
function block(text: string): string {
  return `<pre>${text.split("\n").map(escapeXml).join("\n")}</pre>`;
} // biome-ignore format: HTML
