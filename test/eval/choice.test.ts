import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseCsv } from "../../formats/csv.js";
import { modelTokenizer } from "../../src/commands/shared/text.js";
import { type ChoiceOptions, evaluateChoice } from "../../src/eval/choice/choice.js";
import { evaluateChoiceFolder, readQuestionFolder } from "../../src/eval/choice/folder.js";
import { readQuestions } from "../../src/eval/choice/questions.js";
import { categoriesOf } from "../../src/eval/choice/tasks/categories.js";
import { wilsonInterval } from "../../src/eval/perplexity/statistics.js";
import { openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { refusal } from "../support/build/build.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();
const golden = (name: string) => new URL(`../golden/choice/${name}`, import.meta.url).pathname;
const model = openModel(TINY_LLAMA);
const tokenizer = modelTokenizer(model);

function ask(name: string, options: ChoiceOptions = {}) {
  return evaluateChoice(model, tokenizer, readQuestions(golden(name)), { threads: 0, ...options });
}

/** What transformers computes, see golden/make/choice.py. */
interface Scores {
  readonly logLikelihoods: number[];
  readonly tokens: number[];
}
const { versions, ...expected }: Record<string, Scores[]> = JSON.parse(
  readFileSync(golden("tiny-llama.json"), "utf8"),
);

describe("likelihoods equal transformers'", () => {
  test.each(Object.entries(expected))("%s", async (key, scores) => {
    const [name, shots] = key.split(", ");
    const examples = shots === undefined ? undefined : readQuestions(golden("mmlu_dev.csv"));
    const { questions } = await ask(name!, { examples, shots: examples && Number.parseInt(shots!, 10) });
    expect(questions.map(({ tokens }) => tokens)).toEqual(scores.map(({ tokens }) => tokens));
    for (const [i, { logLikelihoods, tokens }] of scores.entries()) {
      for (const [option, value] of logLikelihoods.entries()) {
        const difference = Math.abs(questions[i]!.logLikelihoods[option]! - value);
        expect(difference / tokens[option]!).toBeLessThan(5e-5);
      }
    }
  });
});

describe("the answer", () => {
  test("is the likeliest option, by its whole or by its tokens", async () => {
    const { accuracy, accuracyNormalized, chance } = await ask("hellaswag.jsonl");
    const answers = [0, 1, 0];
    const right = (perToken: boolean) =>
      expected["hellaswag.jsonl"]!.filter(({ logLikelihoods, tokens }, i) => {
        const scores = logLikelihoods.map((value, option) => (perToken ? value / tokens[option]! : value));
        return scores.every((score) => score <= scores[answers[i]!]!);
      }).length;
    expect(accuracy.value).toBe(right(false) / 3);
    expect(accuracyNormalized?.value).toBe(right(true) / 3);
    expect(chance).toBe(1 / 4);
  });

  test("comes with Wilson's interval", () => {
    // By its definition: the shares from which what was seen is 1.96 of their standard errors away.
    for (const [count, n] of [
      [26, 100],
      [1, 3],
      [700, 701],
    ] as const) {
      const { value, low, high } = wilsonInterval(count, n);
      expect(value).toBe(count / n);
      expect((value - low) / Math.sqrt((low * (1 - low)) / n)).toBeCloseTo(1.959964, 9);
      expect((high - value) / Math.sqrt((high * (1 - high)) / n)).toBeCloseTo(1.959964, 9);
    }
    expect(wilsonInterval(0, 10).low).toBeCloseTo(0, 12);
    expect(wilsonInterval(10, 10).high).toBeCloseTo(1, 12);
  });

  test("is the same, to the bit, for every number of threads and any memory", async () => {
    const run = async (options: ChoiceOptions) => (await ask("hellaswag.jsonl", options)).questions;
    const alone = await run({});
    for (const threads of [1, 2, 4]) expect(await run({ threads })).toEqual(alone);
    expect(await run({ maxMemory: 1 })).toEqual(alone);
  });

  test("is by the activations that are asked for", async () => {
    const path = join(folder, "q8_0.gguf");
    await execute(planQuantize(model, findRecipe("Q8_0")), path, { threads: 0 });
    const small = openModel(path);
    const file = readQuestions(golden("boolq.jsonl"));
    const by = async (activations: "f32" | "int8") => {
      const result = await evaluateChoice(small, tokenizer, file, { threads: 0, activations });
      expect(result.activations).toBe(activations);
      return result.questions;
    };
    // a product with activations of 8 bits is another
    expect(await by("f32")).not.toEqual(await by("int8"));
    expect(await by("f32")).toEqual(await by("f32"));
  });

  test("can be interrupted", async () => {
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(ask("boolq.jsonl", { signal })).rejects.toThrow("stopped");
    await expect(ask("boolq.jsonl", { signal, threads: 1 })).rejects.toThrow("stopped");
  });
});

test("questions longer than the context are left out and counted", async () => {
  const path = join(folder, "long.jsonl");
  const passage = "One day a cat sat in a tree. ".repeat(60);
  const long = JSON.stringify({ question: "is it day", passage, answer: true });
  writeFileSync(path, `${long}\n${readFileSync(golden("boolq.jsonl"), "utf8")}`);
  const { questions, skipped } = await evaluateChoice(model, tokenizer, readQuestions(path), { threads: 0 });
  expect(skipped).toBe(1);
  expect(questions.map(({ line }) => line)).toEqual([2, 3, 4]);
  writeFileSync(path, long);
  const nothing = evaluateChoice(model, tokenizer, readQuestions(path));
  await expect(nothing).rejects.toThrow(/no question fits the model's context of 256 tokens/);
});

test("a question exactly as long as the context is asked", async () => {
  const path = join(folder, "exact.jsonl");
  const row = (words: number) => ({ question: "is it day", passage: "a ".repeat(words), answer: true });
  const prompt = (words: number) => `${row(words).passage}\nQuestion: is it day?\nAnswer: yes`;
  const length = (words: number) => tokenizer.encode(prompt(words)).length;
  const words = Array.from({ length: 256 }, (_, i) => i).find((each) => length(each) === 256)!;
  expect(length(words + 1)).toBe(257);
  writeFileSync(path, [words, words + 1].map((each) => JSON.stringify(row(each))).join("\n"));
  const { questions, skipped } = await evaluateChoice(model, tokenizer, readQuestions(path), { threads: 0 });
  expect([questions.map(({ line }) => line), skipped]).toEqual([[1], 1]);
});

test("of options as likely as each other the first is the answer, as lm-eval's argmax has it", async () => {
  const path = join(folder, "ties.jsonl");
  const row = (label: number) => ({
    ...{ activity_label: "Cats", ctx_a: "A cat sat.", ctx_b: "it" },
    ...{ endings: ["sat down.", "sat down.", "sat down.", "sat down."], label },
  });
  const rows = [0, 1, 3, 0];
  writeFileSync(path, rows.map((label) => JSON.stringify(row(label))).join("\n"));
  const { accuracy, accuracyNormalized, questions } = await evaluateChoice(
    model,
    tokenizer,
    readQuestions(path),
    { threads: 0 },
  );
  for (const { logLikelihoods } of questions) expect(new Set(logLikelihoods).size).toBe(1);
  expect([accuracy.value, accuracyNormalized?.value]).toEqual([2 / 4, 2 / 4]);
});

test("a token that spans the end of the prompt is scored with the ending", async () => {
  const path = join(folder, "spans.jsonl");
  writeFileSync(path, JSON.stringify({ sentence: "a_ b", option1: "c", option2: "d", answer: "1" }));
  // Beside bos a token a character, and "c b" is one too, of which the prompt alone has the "c".
  const encode = (text: string) =>
    Int32Array.from([1, ...[...text.replace("c b", "X")].map((each) => each.charCodeAt(0))]);
  const spanning = { ...tokenizer, encode };
  const apart = { ...tokenizer, encode: (text: string) => (text === "ac" ? encode("a") : encode(text)) };
  const [one, other] = await Promise.all(
    [spanning, apart].map((each) => evaluateChoice(model, each, readQuestions(path), { threads: 0 })),
  );
  // Of "aX" the X; of "ad b" the space and the b.
  expect(one!.questions[0]!.tokens).toEqual([1, 2]);
  expect(one!.questions[0]!.logLikelihoods).toEqual(other!.questions[0]!.logLikelihoods);
});

test("HellaSwag's sentences are put as lm-eval puts them: Python's capitalize", () => {
  const path = join(folder, "capitals.jsonl");
  const row = {
    activity_label: "Cats",
    ctx_a: "A Cat sat.",
    ctx_b: "the NASA Cat",
    endings: ["a", "b"],
    label: 0,
  };
  writeFileSync(path, JSON.stringify(row));
  // "the NASA Cat".capitalize() is "The nasa cat".
  expect(readQuestions(path).questions[0]!.options[0]).toEqual({
    prompt: "Cats: A Cat sat. The nasa cat",
    ending: " a",
  });
});

test("accuracy by tokens divides each option by its own: where that makes a difference", async () => {
  const path = join(folder, "lengths.jsonl");
  const long = "was a little girl named Lily. She loved to play outside in the park";
  const rows = ["Once upon a time, there", "One day, there", "There"].map((question) => ({
    question,
    choices: { text: ["it", long, "no"], label: ["A", "B", "C"] },
    answerKey: "B",
  }));
  writeFileSync(path, rows.map((each) => JSON.stringify(each)).join("\n"));
  const file = readQuestions(path);
  const { accuracyNormalized, accuracy, questions } = await evaluateChoice(model, tokenizer, file, {
    threads: 0,
  });
  const best = (scores: readonly number[]) => scores.indexOf(Math.max(...scores));
  const byTokens = questions.map(({ logLikelihoods: all, tokens }) =>
    best(all.map((each, i) => each / tokens[i]!)),
  );
  expect(byTokens).toContain(1);
  expect(questions.map(({ logLikelihoods }) => best(logLikelihoods))).not.toContain(1);
  expect(accuracy.value).toBe(0);
  expect(accuracyNormalized?.value).toBe(byTokens.filter((each) => each === 1).length / 3);
});

test("a folder has a file for each subject, and both means", async () => {
  const [test, dev] = ["test", "dev"].map((name) => join(folder, name));
  for (const path of [test!, dev!]) mkdirSync(path, { recursive: true });
  const lines = readFileSync(golden("mmlu.csv"), "utf8").trim().split("\n");
  writeFileSync(join(test!, "one_test.csv"), `${lines[0]}\n`);
  writeFileSync(join(test!, "two_test.csv"), lines.slice(1).join("\n"));
  for (const name of ["one", "two"]) copyFileSync(golden("mmlu_dev.csv"), join(dev!, `${name}_dev.csv`));
  const started = performance.now();
  const found = await evaluateChoiceFolder(model, tokenizer, readQuestionFolder(test!, dev)!, { threads: 0 });
  const seconds = (performance.now() - started) / 1000;
  // of all of it, which is no less than its subjects take and no more than it took
  expect(found.seconds).toBeLessThanOrEqual(seconds);
  expect(found.seconds).toBeGreaterThanOrEqual(
    found.subjects.reduce((sum, { result }) => sum + result.seconds, 0),
  );
  expect(found.subjects.map(({ subject }) => subject)).toEqual(["one", "two"]);
  const alone = await Promise.all(
    ["one", "two"].map((name) =>
      evaluateChoice(model, tokenizer, readQuestions(join(test!, `${name}_test.csv`)), {
        examples: readQuestions(golden("mmlu_dev.csv")),
        threads: 0,
      }),
    ),
  );
  expect(found.subjects.map(({ result }) => result.questions)).toEqual(
    alone.map(({ questions }) => questions),
  );
  const [one, two] = alone.map(({ accuracy }) => accuracy.value);
  expect(found.macro).toBeCloseTo((one! + two!) / 2, 12);
  expect(found.accuracy.value).toBeCloseTo((one! + 3 * two!) / 4, 12);
  expect(readQuestionFolder(golden("mmlu.csv"), undefined)).toBeUndefined();
  writeFileSync(join(test!, "long_test.csv"), `${"One day a cat sat in a tree. ".repeat(60)},a,b,c,d,A\n`);
  const some = await evaluateChoiceFolder(model, tokenizer, readQuestionFolder(test!, undefined)!, {
    threads: 0,
    limit: 1,
  });
  expect(some).toMatchObject({ leftOut: ["long"], subjects: [{ subject: "one" }, { subject: "two" }] });
  rmSync(join(test!, "long_test.csv"));
  writeFileSync(join(test!, "two_val.csv"), lines[0]!);
  expect(refusal(() => readQuestionFolder(test!, undefined))).toMatch(/two files of two/);
  rmSync(join(test!, "two_val.csv"));
  rmSync(join(dev!, "two_dev.csv"));
  expect(refusal(() => readQuestionFolder(test!, dev))).toMatch(/no file with examples for two/);
  copyFileSync(golden("boolq.jsonl"), join(test!, "zoo.jsonl"));
  expect(refusal(() => readQuestionFolder(test!, undefined))).toMatch(
    /zoo\.jsonl: questions of BoolQ, but .*MMLU/,
  );
});

test("subjects count for their categories, by questions and by subjects", async () => {
  const test = join(folder, "categories");
  mkdirSync(test);
  const lines = readFileSync(golden("mmlu.csv"), "utf8").trim().split("\n");
  const parts = { anatomy: lines.slice(0, 1), virology: lines.slice(1), astronomy: lines.slice(0, 2), zoology: lines };
  for (const [name, own] of Object.entries(parts)) writeFileSync(join(test, `${name}_test.csv`), own.join("\n"));
  for (const protocol of ["llq", "harness"] as const) {
    const found = await evaluateChoiceFolder(model, tokenizer, readQuestionFolder(test, undefined)!, { threads: 0, protocol });
    const right = new Map(found.subjects.map(({ subject, result }) => [subject, result.accuracy.value]));
    const [anatomy, virology, astronomy] = ["anatomy", "virology", "astronomy"].map((name) => right.get(name)!);
    // subjects, right of all questions alike, mean of the subjects; anatomy is STEM in lm_eval/tasks/mmlu alone
    const expected = protocol === "llq"
      ? [["STEM", 1, astronomy!, astronomy!], ["other", 2, (anatomy! + 3 * virology!) / 4, (anatomy! + virology!) / 2]]
      : [["STEM", 2, (anatomy! + 2 * astronomy!) / 3, (anatomy! + astronomy!) / 2], ["other", 1, virology!, virology!]];
    const close = (value: unknown) => (typeof value === "number" ? expect.closeTo(value, 12) : value);
    expect(found.categories.map(({ category, subjects, accuracy, macro }) => [category, subjects, accuracy.value, macro])).toEqual(expected.map((row) => row.map(close)));
  }
}); // biome-ignore format: long rows

test.each([
  ["MMLU", 57, { STEM: 18, humanities: 13, "social sciences": 12, other: 14 }],
  ["C-Eval", 52, { STEM: 20, humanities: 11, "social sciences": 10, other: 11, hard: 8 }],
  ["CMMLU", 67, { STEM: 17, humanities: 13, "social sciences": 22, other: 15, "China specific": 15 }],
])("%s has %i subjects, each in one category and its own kind", (task, subjects, sizes) => {
  const { hard, "China specific": china, ...own } = categoriesOf(task, false);
  const count = (all: Readonly<Record<string, readonly string[] | undefined>>) =>
    Object.fromEntries(Object.entries(all).flatMap(([name, each]) => (each ? [[name, each.length]] : [])));
  expect(count({ ...own, hard, "China specific": china })).toEqual(sizes);
  expect(new Set(Object.values(own).flat()).size).toBe(subjects);
});

test("no more shots than there are examples", async () => {
  const examples = readQuestions(golden("mmlu_dev.csv"));
  await expect(ask("mmlu.csv", { examples, shots: 3 })).rejects.toThrow(/3 shots, but 2 questions/);
});

describe("refuses, naming the line", () => {
  test.each([
    ["nothing", "", /is empty/],
    [
      "a question of 2 MB",
      `q,1,2,3,4,A\n${"x".repeat(2 << 20)},1,2,3,4,A\n`,
      /line 2: \d+ characters; a question has at most/,
    ],
    ["100 MB in a line", "x".repeat(100 << 20), /10485760\d/],
    ["only names", "id,question,A,B,C,D,answer\n", /no questions/],
    ["an unknown format", "a,b\n1,2\n", /line 1: fields of no known format/],
    ["an unknown object", '{"words":"x"}', /line 1: fields of no known format/],
    ["a quote that stays open", 'q,1,2,3,4,A\nq,"1,2,3,4,A\n', /line 2: a quote that is not closed/],
    ["a stray quote", 'q,1,2,3,4,A\nq,1"2,2,3,4,A\n', /line 2: a quote/],
    ["too few fields", "q,1,2,3,4,A\n\nq,1,2,3,A\n", /line 3: 5 fields, the first record has 6/],
    ["an answer beyond the options", "q,1,2,3,4,A\nq,1,2,3,4,E\n", /line 2: no question of MMLU: answer/],
    ["damaged JSON", '{"text":', /line 1: not valid JSON/],
    [
      "a number as passage",
      '{"passage":1,"question":"q","answer":true}',
      /line 1: no question of BoolQ: passage/,
    ],
    [
      "a key that no option has",
      '\n{"question":"q","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"C"}',
      /line 2: the right answer is none of the options/,
    ],
    [
      "a sentence without a gap",
      '{"sentence":"s","option1":"a","option2":"b","answer":"1"}',
      /line 1: no question of Winogrande: sentence/,
    ],
  ])("%s", (_, text, message) => {
    const path = join(folder, "damaged");
    writeFileSync(path, text);
    const found = refusal(() => readQuestions(path));
    expect(found).toMatch(/^bad-input: /);
    expect(found).toMatch(message);
  });
});

test("CSV is read as RFC 4180 has it", () => {
  // The RFC's own examples, and what else its grammar allows.
  const text = '"aaa","b\r\nbb",ccc\r\n"b""bb",,\n\nx,y,""""\nlast,,';
  expect(parseCsv("x", text)).toEqual([
    { line: 1, fields: ["aaa", "b\r\nbb", "ccc"] },
    { line: 3, fields: ['b"bb', "", ""] },
    { line: 5, fields: ["x", "y", '"'] },
    { line: 6, fields: ["last", "", ""] },
  ]);
});
