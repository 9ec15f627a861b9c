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
  const text = [extent(report), ...measures(report).map(([name, value]) => `${name}: ${value}`)];
  return suite(model, { ...counts, time: result.seconds.toFixed(3) }, [
    ...verdicts.map((verdict) => testCase(model, verdict.bound, contentOf(verdict, isStrict))),
    systemOut(text),
  ]);
}

/** One suite of test cases, which are XML already. */
export function suite(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  cases: readonly string[],
): string {
  const pairs = Object.entries(attributes).map(([key, value]) => `${key}="${value}"`);
  const head = `${JUNIT_HEAD}<testsuite name="${escapeXml(name)}" ${pairs.join(" ")}>`;
  return [head, ...cases, "</testsuite></testsuites>", ""].join("\n");
}

export function testCase(of: string, name: string, content: string): string {
  return `<testcase classname="${escapeXml(of)}" name="${escapeXml(name)}">${content}</testcase>`;
}

export function systemOut(lines: readonly string[]): string {
  return `<system-out>${lines.map(escapeXml).join("\n")}</system-out>`;
}

export function failed(message: string): string {
  return `<failure message="${escapeXml(message)}"/>`;
}

/** A command that came to no result: one test case with an error. */
export function failureJunit(command: string, code: string, message: string): string {
  const error = `<error message="${escapeXml(message)}"/>`;
  return suite(command, { tests: 1, failures: 0, errors: 1 }, [testCase(command, code, error)]);
}

function contentOf(verdict: Verdict, isStrict: boolean): string {
  const message = describeVerdict(verdict);
  if (isSkipped(verdict, isStrict)) return `<skipped message="${escapeXml(message)}"/>`;
  return isBroken(verdict, isStrict) ? failed(message) : systemOut([message]);
}

function isSkipped({ outcome }: Verdict, isStrict: boolean): boolean {
  return isStrict && outcome === "undecided";
}
