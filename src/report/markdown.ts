import { escapeMarkdown } from "../escape.js";
import { describeVerdict } from "../eval/perplexity/gate.js";
import { extent, measures, type Report } from "./report.js";

/** A section for a pull request or a job's summary. */
export function toMarkdown(report: Report): string {
  const { model, base, gate } = report;
  const lines = [`### ${escapeMarkdown(model)}${gate === undefined ? "" : `: ${gate.result}`}`, ""];
  for (const verdict of gate?.verdicts ?? []) lines.push(`- ${escapeMarkdown(describeVerdict(verdict))}`);
  if (gate !== undefined) lines.push("");
  lines.push("| | |", "| --- | --- |");
  for (const [name, value] of measures(report)) lines.push(`| ${name} | ${value} |`);
  lines.push("", `${extent(report)}${base === undefined ? "" : `; base: ${escapeMarkdown(base)}`}`);
  return `${lines.join("\n")}\n`;
}
