import { escapeMarkdown } from "../escape.js";
import type { WrittenResult } from "../eval-gen/evaluate.js";
import { describeWrittenVerdict, type WrittenVerdict } from "../eval-gen/gate.js";
import type { Paired } from "../eval-gen/pairs.js";
import { t } from "../language/t.js";
import { toError } from "./github.js";
import { failed, suite, systemOut, testCase } from "./junit.js";
import { section } from "./markdown.js";
import { interval, percent } from "./shares.js";

/** What written answers came to, as every form of report takes it. */
export interface WrittenReport {
  readonly model: string;
  readonly file: string;
  readonly title: string;
  readonly base: string | undefined;
  readonly result: WrittenResult;
  readonly paired: Paired | undefined;
  readonly verdicts: readonly WrittenVerdict[];
}

/** One JSON document. */
export function toWrittenDocument({ model, file, base, result, paired, verdicts }: WrittenReport) {
  const { questions, ...rest } = result;
  const gate =
    verdicts.length === 0
      ? undefined
      : { result: isPassed(verdicts) ? ("passed" as const) : ("failed" as const), verdicts };
  const shown = questions.map(({ tokens, ...each }) => ({ ...each, tokens: tokens.length }));
  return { schema: 1 as const, model, file, base, ...rest, comparison: paired, gate, questions: shown };
}

export function isPassed(verdicts: readonly WrittenVerdict[]): boolean {
  return verdicts.every(({ isWithin }) => isWithin);
}

/** [what, value] of everything that was measured. */
export function writtenMeasures({ result, paired }: WrittenReport): [name: string, value: string][] {
  const rows: [string, string][] = Object.entries(result.accuracies).map(([name, share]) => [
    name,
    interval(share),
  ]);
  if (paired === undefined) return rows;
  const { base, lost, gained, drop, error, p, needed } = paired;
  const enough = needed.map(({ loss, questions }) => `${percent(loss)}: ${questions}`).join(", ");
  return [
    ...rows,
    [t`of the base`, percent(base)],
    [
      t`lost, gained`,
      t`${lost.length}, ${gained.length} questions (McNemar, exact: p = ${p.toPrecision(3)})`,
    ],
    [t`drop`, `${percent(drop)} ± ${percent(error)}`],
    [t`questions to see a loss`, enough],
  ];
}

/** How much was asked, and how. */
export function writtenExtent({ result, title }: WrittenReport): string {
  const { questions, shots, protocol, cut, unfinished, isChat } = result;
  const parts = [
    t`${questions.length} questions of ${title}, ${shots} shots, by the protocol of ${protocol}`,
    ...(isChat ? [t`in a chat`] : []),
    ...(cut > 0 ? [t`${cut} without their beginning (longer than the context)`] : []),
    ...(unfinished > 0 ? [t`${unfinished} answers cut off at ${result.maxTokens} tokens`] : []),
  ];
  return parts.join(", ");
}

/** Questions of each kind that a report names. */
const MAX_NAMED = 20;

/** Questions that turned, in lines. */
export function turnedLines({ paired }: WrittenReport): string[] {
  if (paired === undefined) return [];
  const line = (what: string, ids: readonly string[]) =>
    ids.length === 0
      ? []
      : [
          `${what}: ${ids.slice(0, MAX_NAMED).join(", ")}${ids.length > MAX_NAMED ? t`, and ${ids.length - MAX_NAMED} more` : ""}`,
        ];
  return [...line(t`lost`, paired.lost), ...line(t`gained`, paired.gained)];
}

/** A section for a pull request or a job's summary. */
export function toWrittenMarkdown(report: WrittenReport): string {
  const { model, base, verdicts, result } = report;
  const gate = verdicts.length === 0 ? "" : `: ${isPassed(verdicts) ? t`passed` : t`failed`}`;
  const rows = [
    ...writtenMeasures(report).map((row) => row.map(escapeMarkdown)),
    ...Object.entries(result.groups).map(([name, share]) => [escapeMarkdown(name), interval(share)]),
  ];
  const extent = `${writtenExtent(report)}${base === undefined ? "" : t`; base: ${base}`}`;
  return section(`${escapeMarkdown(model)}${gate}`, {
    verdicts: verdicts.map(describeWrittenVerdict),
    rows,
    behind: [extent, ...turnedLines(report)].map(escapeMarkdown),
  });
}

/** The bounds as test cases, in the XML that continuous integration servers read. */
export function toWrittenJunit(report: WrittenReport): string {
  const { model, verdicts, result } = report;
  const text = [
    writtenExtent(report),
    ...writtenMeasures(report).map(([name, value]) => `${name}: ${value}`),
    ...turnedLines(report),
  ];
  const failures = verdicts.filter(({ isWithin }) => !isWithin).length;
  return suite(model, { tests: verdicts.length, failures, time: result.seconds.toFixed(3) }, [
    ...verdicts.map((verdict) => {
      const message = describeWrittenVerdict(verdict);
      return testCase(model, verdict.bound, verdict.isWithin ? systemOut([message]) : failed(message));
    }),
    systemOut(text),
  ]);
}

/** Workflow commands that mark broken bounds as errors, one a line. */
export function writtenAnnotations({ model, verdicts }: WrittenReport): string[] {
  const broken = verdicts.filter(({ isWithin }) => !isWithin);
  return broken.map((verdict) => toError(`${model}: ${verdict.bound}`, describeWrittenVerdict(verdict)));
}
