import { escapeMarkdown } from "../escape.js";
import type { ComparedModel, MeasuredModel, ModelComparison } from "../eval/compare/compare-models.js";
import type { Estimate } from "../eval/perplexity/statistics.js";
import { t } from "../language/t.js";
import { formatBytes } from "../ui.js";

/** What a comparison has found, as every form of report takes it. */
export interface ComparisonReport {
  readonly text: string;
  readonly result: ModelComparison;
  /** With --fast: whether products of floats were fused. */
  readonly fast?: boolean | undefined;
}

/** Of `comparisonDocument`. Grows when a reader of the old form would go wrong. */
const SCHEMA = 1 as const;

/** The same with its files in the order in which all forms of the report have them. */
export function largestFirst(report: ComparisonReport): ComparisonReport {
  const candidates = report.result.candidates.toSorted((a, b) => b.fileBytes - a.fileBytes);
  return { ...report, result: { ...report.result, candidates } };
}

/** One JSON document. */
export function comparisonDocument({ text, result, fast }: ComparisonReport) {
  const { protocol, base, candidates, ...rest } = result;
  const flat = <M extends MeasuredModel>({ path, ppl, ...more }: M) => ({
    model: path,
    perplexity: ppl.value,
    error: ppl.error,
    ...more,
  });
  return {
    schema: SCHEMA,
    text,
    protocol: protocol.name,
    context: protocol.context,
    fast,
    ...rest,
    base: flat(base),
    models: candidates.map(flat),
  };
}

/** A column of the table; the base is in it too, where it has a value. */
export interface Column {
  readonly name: string;
  readonly cell: (model: MeasuredModel, divergence: ComparedModel["divergence"] | undefined) => string;
}

/** Where there is nothing to say. */
const NONE = "–";
/** Rounding may leave a little less than nothing. */
const fixed = (value: number, digits: number) => value.toFixed(digits).replace(/^-(?=[0.]*$)/, "");
const estimate = ({ value, error }: Estimate, digits: number, scale = 1) =>
  `${fixed(scale * value, digits)} ± ${fixed(scale * error, digits)}`;

/** A mix has three types or more; those of the fewest weights say the least. */
const SHOWN_TYPES = 3;

function shownTypes(types: readonly string[]): string {
  const more = types.length > SHOWN_TYPES ? ", …" : "";
  return `${types.slice(0, SHOWN_TYPES).join(", ")}${more}`;
}

/** What is said of each model beside its name. */
export const columns = (): readonly Column[] => [
  { name: t`types`, cell: ({ types }) => shownTypes(types) },
  { name: t`size`, cell: ({ fileBytes }) => formatBytes(fileBytes) },
  { name: t`bits/weight`, cell: ({ bitsPerWeight }) => bitsPerWeight.toFixed(2) },
  { name: t`perplexity`, cell: ({ ppl }) => estimate(ppl, 4) },
  { name: t`PPL / base`, cell: (_, of) => (of === undefined ? NONE : estimate(of.pplRatio, 5)) },
  { name: t`mean KLD`, cell: (_, of) => (of === undefined ? NONE : estimate(of.kld, 6)) },
  { name: t`same top, %`, cell: (_, of) => (of === undefined ? NONE : estimate(of.sameTop, 2, 100)) },
];

/** The base and the models, each with its cells. */
export function comparisonRows({ result }: ComparisonReport): { model: MeasuredModel; cells: string[] }[] {
  const row = (model: MeasuredModel, divergence?: ComparedModel["divergence"]) => ({
    model,
    cells: columns().map(({ cell }) => cell(model, divergence)),
  });
  return [row(result.base), ...result.candidates.map((model) => row(model, model.divergence))];
}

/** How much was evaluated, and how. */
export function comparisonExtent({ result, fast }: ComparisonReport): string {
  const { chunks, count, protocol, activations } = result;
  const how = t`by ${protocol.name}, ${activations} activations`;
  const all = t`${chunks} chunks of ${protocol.context} tokens, ${count} scored, ${how}`;
  return fast ? `${all}, --fast` : all;
}

/** A section for a pull request or a job's summary. */
export function comparisonMarkdown(report: ComparisonReport): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const { base } = report.result;
  return [
    line([t`model`, ...columns().map(({ name }) => name)]),
    line(["---", ...columns().map(() => "---:")]),
    ...comparisonRows(report).map(({ model, cells }) => {
      const name = escapeMarkdown(model.path);
      return line([model === base ? t`${name} (base)` : name, ...cells]);
    }),
    "",
    `${escapeMarkdown(report.text)}: ${comparisonExtent(report)}`,
    "",
  ].join("\n");
}
