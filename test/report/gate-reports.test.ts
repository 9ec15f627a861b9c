import { describe, expect, test } from "vitest";
import { gateResult, type Verdict } from "../../src/eval/perplexity/gate.js";
import type { Perplexity } from "../../src/eval/perplexity/perplexity.js";
import { toAnnotations } from "../../src/report/github.js";
import { toJunit } from "../../src/report/junit.js";
import type { Report } from "../../src/report/report.js";

const row = { limit: 1, value: 1, error: 0.1 };
const VERDICTS: Record<string, Verdict> = {
  met: { ...row, bound: "max-ppl", outcome: "met", isWithin: true },
  broken: { ...row, bound: "max-kld", outcome: "broken", isWithin: false },
  within: { ...row, bound: "min-top1", outcome: "undecided", isWithin: true },
  beyond: { ...row, bound: "max-ppl-ratio", outcome: "undecided", isWithin: false },
};

function report(strict: boolean, ...names: (keyof typeof VERDICTS)[]): Report {
  const verdicts = names.map((name) => VERDICTS[name]!);
  const result = {
    ...{ ppl: 7, error: 0.1, count: 64, chunksOfText: 4, running: [7, 7, 7, 7], seconds: 1.5 },
    protocol: { name: "llama-perplexity", context: 32 },
  } as unknown as Perplexity;
  const gate = { result: gateResult(verdicts, strict), strict, verdicts };
  return { model: "m.gguf", text: "t", base: undefined, result, gate };
}

const ALL = ["met", "broken", "within", "beyond"] as const;

describe("JUnit", () => {
  /** What of each kind the suite says it has, and what is in it. */
  function counts(strict: boolean, ...names: (keyof typeof VERDICTS)[]) {
    const xml = toJunit(report(strict, ...names));
    const [, tests, failures, skipped] = /tests="(\d+)" failures="(\d+)" skipped="(\d+)"/.exec(xml)!;
    const found = (text: string) => xml.split(text).length - 1;
    expect([tests, failures, skipped].map(Number)).toEqual(["<testcase", "<failure", "<skipped"].map(found));
    return { tests: Number(tests), failures: Number(failures), skipped: Number(skipped) };
  }

  test("an undecided bound is judged by its value, and skipped under --strict", () => {
    expect(counts(false, ...ALL)).toEqual({ tests: 4, failures: 2, skipped: 0 });
    expect(counts(true, ...ALL)).toEqual({ tests: 4, failures: 1, skipped: 2 });
    expect(counts(true, "beyond")).toEqual({ tests: 1, failures: 0, skipped: 1 });
    expect(counts(false, "within")).toEqual({ tests: 1, failures: 0, skipped: 0 });
  });

  test("fails where the gate does", () => {
    for (const strict of [false, true]) {
      for (const name of ALL) {
        expect(counts(strict, name).failures).toBe(
          gateResult([VERDICTS[name]!], strict) === "failed" ? 1 : 0,
        );
      }
    }
    expect(gateResult([VERDICTS["beyond"]!], false)).toBe("failed");
    expect(gateResult([VERDICTS["beyond"]!], true)).toBe("undecided");
  });
});

test("GitHub shows what is beyond its bound as an error, what may be as a warning, what is met not at all", () => {
  const shown = (strict: boolean) =>
    toAnnotations(report(strict, ...ALL)).map((line) =>
      /^::(\w+) title=m\.gguf%3A ([\w-]+)::/.exec(line)!.slice(1),
    );
  const expected = [
    ["error", "max-kld"],
    ["warning", "min-top1"],
    ["error", "max-ppl-ratio"],
  ];
  expect(shown(false)).toEqual(expected);
  expect(shown(true)).toEqual(expected);
});
