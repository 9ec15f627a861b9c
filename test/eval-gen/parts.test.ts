import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { describeWrittenVerdict, judgeWritten } from "../../src/eval-gen/gate.js";
import { exactP, pairRuns, questionsFor } from "../../src/eval-gen/pairs.js";
import { readWrittenQuestions } from "../../src/eval-gen/questions.js";
import { findWrittenTask } from "../../src/eval-gen/tasks/index.js";
import { looksComplete } from "../../src/eval-gen/tasks/python-syntax.js";
import { refusal } from "../support/build/build.js";
import { scratchFolder } from "../support/scratch.js";

const folder = scratchFolder();

describe("paired runs", () => {
  test.each([
    [0, 0, 1],
    [5, 5, 1],
    [1, 8, 0.0390625],
    [12, 3, 0.03515625],
    [40, 61, 0.046044066929342785],
    [300, 377, 0.0034596752837817595],
    [0, 20, 1.9073486328125e-6],
  ])("of %i lost and %i gained: p as scipy.stats.binomtest has it", (lost, gained, p) => {
    expect(exactP(lost, gained) / p).toBeCloseTo(1, 9);
  });

  const runOf = (right: readonly boolean[], asked = "a") => ({
    asked,
    counts: "number",
    questions: right.map((isRight, i) => ({
      ...{ id: `${i}`, group: "", prompt: "", promptTokens: 1, tokens: [], text: "", finish: "end" as const },
      scores: { number: { answer: "", isRight } },
    })),
  });

  test("say which questions turned, and what that is worth", () => {
    const model = runOf([true, false, false, true, false]);
    const found = pairRuns(model, runOf([true, true, true, false, false]))!;
    expect(found).toMatchObject({ base: 0.6, both: 1, neither: 1, lost: ["1", "2"], gained: ["3"], p: 1 });
    // the standard deviation of (1, 1, -1, 0, 0), over the root of 5 questions
    expect(found.drop).toBeCloseTo(0.2, 12);
    expect(found.error).toBeCloseTo(Math.sqrt(0.7 / 5), 12);
    const accuracy = { value: 0.4, low: 0.1, high: 0.8 };
    const verdicts = judgeWritten({ minAccuracy: 0.5, maxDrop: 0.3 }, { accuracy }, found);
    expect(verdicts.map(({ isWithin, isClose }) => [isWithin, isClose])).toEqual([
      [false, true],
      [true, true],
    ]);
    expect(verdicts.map(describeWrittenVerdict)).toEqual([
      "min-accuracy broken: 40.00 % (95 %: 10.00 % to 80.00 %), the bound is 50.00 %; more questions could turn it",
      expect.stringMatching(
        /^max-drop met: 20\.00 % \(95 %: -53\.3. % to 93\.3. %\), the bound is 30\.00 %; more/,
      ),
    ]);
    const sure = { accuracy: { value: 0.9, low: 0.8, high: 0.95 } };
    expect(judgeWritten({}, sure, found)).toEqual([]);
    expect(judgeWritten({ maxDrop: 0.1 }, sure, undefined)).toEqual([]);
    expect(
      judgeWritten({ minAccuracy: 0.8, maxDrop: 0.1 }, sure, { ...found, drop: 0.5, error: 0.1 }),
    ).toMatchObject([
      { isWithin: true, isClose: false }, // 0.8 is the end of what it may be
      { isWithin: false, isClose: false, value: 0.5 },
    ]);
    expect(pairRuns(model, runOf([true, true, true, false, false], "b"))).toBeUndefined();
  });

  test("take so many questions to show a loss", () => {
    expect(questionsFor(0.02, 0.1)).toBeGreaterThan(questionsFor(0.02, 0.05));
    expect(questionsFor(0.05, 0.1)).toBe(
      Math.ceil(((1.959964 * Math.sqrt(0.1) + 0.841621 * Math.sqrt(0.0975)) / 0.05) ** 2),
    );
  });
});

/** Whether Python 3.11's ast.parse takes them. */
const CODE: readonly (readonly [string, boolean])[] = [
  ["def f(a):\n    return a\n", true],
  ["def f(a):\n    return (a\n", false],
  ["def f(a):\n", false],
  ["def f(a):\n    '''doc\n", false],
  ["def f(a):\n    x = 'it\\'s'\n    return x\n", true],
  ["def f(a):\n    x = 'open\n    return x\n", false],
  ["def f(a):\n    return a + \\\n", false],
  ["def f(a):\n    # a ( in a comment\n    return [a, {1: 2}]\n", true],
  ["def f(a):\n    return [a)\n", false],
  ["def f(a):\n    for i in a:\n", false],
  ["def f(a):\n    return {1:\n 2}\n", true],
  ['def f(a):\n    """ it\'s """\n    return a[1:]\n', true],
  ["def f(a):\n    if a:\n        pass\n    else:  # nothing\n", false],
  ["def f(a):\n    return lambda: 0\n", true],
  ["def f(a):\n    return a]\n", false],
];

test.each(CODE)("code looks as whole as Python's parser finds it: %j", (code, isWhole) => {
  expect(looksComplete(code)).toBe(isWhole);
});

describe("answers read sanely by default", () => {
  test.each<[string, string, string, boolean]>([
    ["gsm8k", " 3 + 2 = <<3+2=5>>5\n#### 5", "x\n#### 5", true],
    ["gsm8k", "So the answer is $1,200.00. Next, 7", "#### 1200", true],
    ["gsm8k", "no number", "#### 5", false],
    ["bbh", "We look. So the answer is (B).", "(B)", true],
    ["bbh", "TRUE", "True", true],
    ["triviaqa", " the  Beatles!", "Beatles", true],
    ["triviaqa", " Paul", "Beatles", false],
    ["math", "It is $x$, so \\boxed{\\frac12}. Done $y$", "\\frac{1}{2}", true],
    ["math", "The answer is $4$.", "4", true],
    ["math", "So the answer is: 4.\nDone", "4", true],
    ["math", "4\nfor $x$ is 3", "3", false], // formulas go before the first line
    ["math", "4.\nNo formula", "4", true],
  ])("%s: %j for %j", (name, text, gold, isRight) => {
    const [score] = findWrittenTask(name)!.manners.llq.scores;
    expect(score!.isRight(score!.answer(text), [gold])).toBe(isRight);
  });
});

test.each([
  ["a $x$ b $y$ c", "x$ b $y"],
  ["no dollar", "no dollar"],
  ["one $ alone", "one $ alone"],
])("the harness reads of %j what is between the first dollar and the last", (text, answer) => {
  const [score] = findWrittenTask("math")!.manners.harness.scores;
  expect(score!.answer(text)).toBe(answer);
});

describe("questions", () => {
  const write = (name: string, text: string | Buffer) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const read = (path: string, task: string) => readWrittenQuestions(path, findWrittenTask(task)!, "llq");
  const GSM = '{"question":"q","answer":"#### 1"}';

  test("of TriviaQA's own form, an array, and zipped lines", () => {
    const trivia = { Data: [{ Question: "Who?", QuestionId: "tc_1", Answer: { Aliases: ["A", "B"] } }] };
    expect(read(write("t.json", JSON.stringify(trivia)), "triviaqa")).toMatchObject([{ id: "tc_1", gold: ["A", "B"] }]);
    expect(read(write("g.json", `[${GSM},\n${GSM}]`), "gsm8k").map(({ id }) => id)).toEqual(["1", "2"]);
    expect(read(write("g.jsonl.gz", gzipSync(`${GSM}\n\n${GSM}\n`)), "gsm8k").map(({ id }) => id)).toEqual(["1", "3"]);
    const own = '{"prompt":"p","answer":"a"}\n{"prompt":"q","answer":["b","c"]}';
    expect(read(write("c.jsonl", own), "custom")).toMatchObject([
      { prompt: "p", target: "a", gold: ["a"] },
      { prompt: "q", target: "b", gold: ["b", "c"] },
    ]);
    const pretty = JSON.stringify({ examples: [{ input: "a", target: "b" }] }, null, 2);
    expect(read(write("b.json", pretty), "bbh")).toMatchObject([{ prompt: "Q: a\nA: Let's think step by step.\n" }]);
  });

  test.each<[string, string, string | Buffer, RegExp]>([
    ["nothing", "gsm8k", "", /damaged\.jsonl: is empty/],
    ["blank lines", "bbh", "\n \n", /damaged\.jsonl: is empty/],
    ["an empty array", "gsm8k", "[]", /damaged\.jsonl: no questions in it/],
    ["a reference without its result", "gsm8k", `${GSM}\n{"question":"q","answer":"so 5"}`, /line 2: no question of GSM8K: answer: no #### with the result behind it/],
    ["a reference that ends at its mark", "gsm8k", '{"question":"q","answer":"5\\n#### "}', /no #### with the result/],
    ["missing fields", "triviaqa", '{"question":"q"}', /no question of TriviaQA: answer: Invalid key: Expected "answer"/],
    ["missing fields of the authors' form", "triviaqa", '{"Question":"q","QuestionId":"a"}', /no question of TriviaQA: Answer: Invalid key/],
    ["MATH's", "triviaqa", '{"problem":"p","solution":"s"}', /question: Invalid key: Expected "question".*\n?.*/],
    ["a field missing from HumanEval", "humaneval", '{"task_id":"a","prompt":"p"}', /no question of HumanEval: entry_point/],
    ["another task's", "gsm8k", '{"problem":"p","solution":"\\\\boxed{1}"}', /no question of GSM8K: question: Invalid/],
    ["an answer that is no text", "gsm8k", `${GSM}\n{"question":"q","answer":5}\n`, /line 2: no question of GSM8K: answer/],
    ["no box", "math", '{"problem":"p","solution":"x"}', /no question of MATH: solution: no \\boxed/],
    ["no alias", "triviaqa", '{"question":"q","answer":{"aliases":[]}}', /no question of TriviaQA/],
    ["damaged JSON", "gsm8k", `${GSM}\n{"question":`, /line 2: not valid JSON/],
    ["a long line", "gsm8k", `${GSM}\n{"question":"${"x".repeat(1 << 20)}","answer":""}\n`, /line 2: \d+ bytes; a question has at most/],
    ["a line of 100 MB", "gsm8k", Buffer.concat([Buffer.from(`${GSM}\n{"question":"`), Buffer.alloc(100 << 20, 120), Buffer.from('","answer":"#### 1"}\n')]), /line 2: 104857\d+ bytes; a question has at most 1048576/],
    ["a document of 100 MB", "gsm8k", Buffer.concat([Buffer.from('{"question":"'), Buffer.alloc(100 << 20, 120), Buffer.from('","answer":"#### 1"}')]), /damaged\.jsonl: 1048576\d+ characters; a question has at most/],
    ["more than any file has", "gsm8k", Buffer.alloc(129 << 20, 32), /damaged\.jsonl.*\b13\d+/],
    ["zipped rubbish", "gsm8k", Buffer.from([0x1f, 0x8b, 1, 2, 3]), /cannot be unzipped/],
    ["the same name twice", "humaneval", `${code("a")}\n${code("a")}\n`, /two questions are called a/],
  ])("%s is refused by name", (_, task, text, message) => {
    const found = refusal(() => read(write("damaged.jsonl", text), task));
    expect(found).toMatch(/^bad-input: /);
    expect(found).toMatch(message);
  });

  function code(task_id: string): string {
    return JSON.stringify({ task_id, prompt: "", entry_point: "f", canonical_solution: "", test: "" });
  }
}); // biome-ignore format: a case a line
