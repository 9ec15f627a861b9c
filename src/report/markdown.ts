import { escapeMarkdown } from "../escape.js";
import { describeVerdict } from "../eval/perplexity/gate.js";
import { t } from "../language/t.js";
import { extent, measures, type Report, resultName } from "./report.js";

/** A section for a pull request or a job's summary. */
export function toMarkdown(report: Report): string {
  const { model, base, gate } = report;
  return section(`${escapeMarkdown(model)}${gate === undefined ? "" : `: ${resultName(gate.result)}`}`, {
    verdicts: gate?.verdicts.map(describeVerdict) ?? [],
    rows: measures(report),
    behind: [`${extent(report)}${base === undefined ? "" : t`; base: ${escapeMarkdown(base)}`}`],
  });
}

/** A heading, the verdicts, a table of two columns, and paragraphs behind it; all but the verdicts is Markdown already. */
export function section(
  heading: string,
  parts: {
    readonly verdicts: readonly string[];
    readonly rows: readonly (readonly string[])[];
    readonly behind: readonly string[];
  },
): string {
  const lines = [`### ${heading}`, ""];
  for (const verdict of parts.verdicts) lines.push(`- ${escapeMarkdown(verdict)}`);
  if (parts.verdicts.length > 0) lines.push("");
  lines.push("| | |", "| --- | --- |");
  for (const row of parts.rows) lines.push(`| ${row.join(" | ")} |`);
  for (const paragraph of parts.behind) lines.push("", paragraph);
  return `${lines.join("\n")}\n`;
}
