import { expect, test } from "vitest";
import { pairRuns } from "../../src/eval-gen/pairs.js";
import type { FiledQuestion } from "../../src/eval-gen/questions.js";
import { writtenPage } from "../../src/report/html/written-page.js";
import type { WrittenReport } from "../../src/report/written.js";

const interval = { value: 0.5, low: 0.2, high: 0.8 };
const questions = ["a", "b", "c", "<d>"].map(
  (id): FiledQuestion => ({ id, group: "", prompt: `Ask ${id}?\n<b>`, target: "5", gold: ["#### 5"] }),
);
const runOf = (right: readonly boolean[], says: string) => ({
  asked: "same",
  counts: "number",
  questions: questions.map(({ id }, i) => ({
    ...{ id, group: "", prompt: "", promptTokens: 1, tokens: [1], finish: "length" as const },
    text: `${says} of ${id}\n</pre><script>alert(1)</script>\u0007`,
    scores: { number: { answer: `${says}!`, isRight: right[i]! } },
  })),
});
const own = runOf([true, false, false, true], "model");
const base = runOf([true, true, true, false], "base");
const report = (paired = true): WrittenReport => ({
  ...{ model: "q4.gguf", file: "test.jsonl", title: "GSM8K" },
  base: paired ? "f16.gguf" : undefined,
  result: {
    ...{ ...own, task: "gsm8k", protocol: "llq", shots: 5, isChat: false, maxTokens: 9, activations: "int8" },
    ...{ accuracy: interval, accuracies: { number: interval }, groups: { "a & b": interval } },
    ...{ cut: 1, unfinished: 4, batch: 8, tokensPerSecond: 1, seconds: 1 },
  },
  paired: paired ? pairRuns(own, base, 0.1) : undefined,
  verdicts: [],
});

/** Tags that are opened are closed, and in order: what a parser of XML asks for. */
function checkNesting(page: string): void {
  const open: string[] = [];
  for (const [, end, name, self] of page
    .replace("<!doctype html>", "")
    .matchAll(/<(\/?)([a-z0-9]+)[^>]*?(\/?)>/g)) {
    if (self === "/") continue;
    if (end === "/") expect(open.pop()).toBe(name);
    else open.push(name!);
  }
  expect(open).toEqual([]);
}

test("a page shows the questions that turned, what is right, and what both wrote", () => {
  const page = writtenPage(report(), { questions, base });
  checkNesting(page);
  expect(page).toContain("GSM8K: q4.gguf compared with f16.gguf");
  expect(page).toMatch(
    /<h3>Lost: 2<\/h3>[\s\S]*<summary>b<\/summary>[\s\S]*<summary>c<\/summary>[\s\S]*<h3>Gained: 1<\/h3>/,
  );
  expect(page).toContain("<summary>&lt;d&gt;</summary>");
  expect(page).not.toContain("<summary>a</summary>");
  for (const said of ["Ask b?\n&lt;b&gt;", "#### 5", "base of b", "model of b", "read as: model! (cut off)"])
    expect(page).toContain(said);
  expect(page).toMatch(/right in both 1, gained 1, lost 2, wrong in both 0/);
  expect(page).toMatch(/10\.00 %<\/td><td>\d+ questions/);
});

test("what a model wrote is text", () => {
  const page = writtenPage(report(), { questions, base });
  for (const never of ["<script", "\u0007"]) expect(page).not.toContain(never);
  expect(page).toContain("&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;\\u{7}");
});

test("a page without a base has the scores alone", () => {
  const page = writtenPage(report(false), { questions, base: undefined });
  checkNesting(page);
  expect(page).not.toContain("turned");
  expect(page).toContain("a &amp; b");
}); // biome-ignore format: long lines
