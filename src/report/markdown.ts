import { describeVerdict } from "../eval/gate.js";
import { extent, measures, type Report } from "./report.js";

/** A section for a pull request or a job's summary. */
export function toMarkdown(report: Report): string {
  const { model, base, gate } = report;
  const lines = [`### ${escapeText(model)}${gate === undefined ? "" : `: ${gate.result}`}`, ""];
  for (const verdict of gate?.verdicts ?? []) lines.push(`- ${escapeText(describeVerdict(verdict))}`);
  if (gate !== undefined) lines.push("");
  lines.push("| | |", "| --- | --- |");
  for (const [name, value] of measures(report)) lines.push(`| ${name} | ${value} |`);
  lines.push("", `${extent(report)}${base === undefined ? "" : `; base: ${escapeText(base)}`}`);
  return `${lines.join("\n")}\n`;
}

/** Names of files are text, whatever characters they have. */
function escapeText(text: string): string {
  return text.replace(/[\r\n]+/g, " ").replace(/[\\`*_{}[\]<>()#|!~&]/g, "\\$&");
}
