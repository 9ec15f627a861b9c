import { escapeXml } from "../escape.js";
import { describeVerdict, isBroken, type Verdict } from "../eval/perplexity/gate.js";
import { extent, measures, type Report } from "./report.js";

/** What every report begins with: by this one of before is known. */
export const JUNIT_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>';

/** The bounds as test cases, in the XML that continuous integration servers read. Undecided ones are skipped tests. */
export function toJunit(report: Report): string {
  const { model, gate, result } = report;
  const verdicts = gate?.verdicts ?? [];
  const isStrict = gate?.strict ?? false;
  const counts = {
    tests: verdicts.length,
    failures: verdicts.filter((verdict) => isBroken(verdict, isStrict)).length,
    skipped: verdicts.filter((verdict) => isSkipped(verdict, isStrict)).length,
  };
  const attributes = Object.entries(counts).map(([name, count]) => `${name}="${count}"`);
  const text = [extent(report), ...measures(report).map(([name, value]) => `${name}: ${value}`)];
  return [
    `${JUNIT_HEAD}<testsuite name="${escapeXml(model)}" ${attributes.join(" ")} time="${result.seconds.toFixed(3)}">`,
    ...verdicts.map((verdict) => toCase(model, verdict, isStrict)),
    `<system-out>${text.map(escapeXml).join("\n")}</system-out>`,
    "</testsuite></testsuites>",
    "",
  ].join("\n");
}

/** A command that came to no result: one test case with an error. */
export function failureJunit(command: string, code: string, message: string): string {
  const name = escapeXml(command);
  return [
    `${JUNIT_HEAD}<testsuite name="${name}" tests="1" failures="0" errors="1">`,
    `<testcase classname="${name}" name="${escapeXml(code)}"><error message="${escapeXml(message)}"/></testcase>`,
    "</testsuite></testsuites>",
    "",
  ].join("\n");
}

function toCase(model: string, verdict: Verdict, isStrict: boolean): string {
  const message = escapeXml(describeVerdict(verdict));
  const head = `<testcase classname="${escapeXml(model)}" name="${verdict.bound}"`;
  if (isSkipped(verdict, isStrict)) return `${head}><skipped message="${message}"/></testcase>`;
  if (isBroken(verdict, isStrict)) return `${head}><failure message="${message}"/></testcase>`;
  return `${head}><system-out>${message}</system-out></testcase>`;
}

function isSkipped({ outcome }: Verdict, isStrict: boolean): boolean {
  return isStrict && outcome === "undecided";
}
