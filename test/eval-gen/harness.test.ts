import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { modelTokenizer } from "../../src/commands/shared/text.js";
import { evaluateWritten, type WrittenOptions } from "../../src/eval-gen/evaluate.js";
import { readExamples } from "../../src/eval-gen/examples.js";
import { readWrittenQuestions } from "../../src/eval-gen/questions.js";
import { findWrittenTask } from "../../src/eval-gen/tasks/index.js";
import { loadEngine } from "../../src/generate/load-engine.js";
import { openModel } from "../../src/model.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();
const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../golden/harness/${name}`, import.meta.url), "utf8"));
const model = openModel(TINY_LLAMA);
const tokenizer = modelTokenizer(model);

type Scores = Readonly<Record<string, readonly [answer: string, score: number]>>;

/** What lm-evaluation-harness computes, see golden/make/harness_written.py. */
interface Golden {
  readonly maxTokens: number;
  readonly template: string;
  readonly runs: readonly {
    readonly task: string;
    readonly data: string;
    readonly shots: number;
    /** Tokens; null for 1024. */
    readonly context: number | null;
    readonly chat: boolean;
    readonly questions: readonly {
      readonly prompt: string;
      readonly promptTokens: number;
      readonly tokens: readonly number[];
      readonly text: string;
      readonly scores: Scores;
    }[];
  }[];
  /** Texts that no model wrote, as answers to the first question, or to that of a kind. */
  readonly answers: Readonly<Record<string, readonly (readonly [text: string, Scores])[]>>;
}
const { maxTokens, template, runs, answers }: Golden = golden("written.json");
const made = golden("written-questions.json");

/** In the form each is published in. */
function fileOf(data: string, split: string): string {
  const lines = made[data][split].map((row: unknown) => JSON.stringify(row)).join("\n");
  const path = join(folder, `${data}-${split}.jsonl`);
  if (data === "bbh") {
    mkdirSync(join(folder, "bbh"), { recursive: true });
    writeFileSync(
      join(folder, "bbh", "boolean_expressions.json"),
      JSON.stringify({ canary: "x", examples: made.bbh.test }),
    );
    return join(folder, "bbh");
  }
  writeFileSync(path, lines);
  return path;
}

/** The prompts of BBH's repository, with examples of our own. */
function cotPrompts(): string {
  const path = join(folder, "cot-prompts");
  mkdirSync(path, { recursive: true });
  const blocks = made["bbh examples"].test.map(
    ({ input, target }: Record<string, string>) => `Q: ${input}\nA: Let's think step by step.\n${target}`,
  );
  const head = "Canary: do not train on this.\n-----\nEvaluate the result of a random Boolean expression.";
  writeFileSync(join(path, "boolean_expressions.txt"), `${[head, ...blocks].join("\n\n")}\n`);
  return path;
}

function run(data: string, count: number, options: WrittenOptions) {
  const task = findWrittenTask(data)!;
  const questions = readWrittenQuestions(fileOf(data, "test"), task, options.protocol ?? "llq");
  return evaluateWritten(model, tokenizer, task, questions, loadEngine, { limit: count, maxTokens, kvType: "f32", threads: 1, ...options });
} // biome-ignore format: options in a line

describe("prompts, ids, texts, answers and scores are those of lm-eval 0.4.13 with transformers", {
  timeout: 120_000,
}, () => {
  test.each(
    runs.map(
      (each) =>
        [`${each.task}, ${each.shots} shots, context ${each.context}, chat ${each.chat}`, each] as const,
    ),
  )("%s", async (_, { data, shots, context, chat, questions }) => {
    const task = findWrittenTask(data)!;
    const examples =
      shots === 0
        ? undefined
        : readExamples(data === "bbh" ? cotPrompts() : fileOf(data, "train"), task, "harness");
    const found = await run(data, questions.length, {
      ...{ protocol: "harness", shots, examples, context: context ?? 1024, batch: 4 },
      template: chat ? { name: "template", source: template } : undefined,
    });
    for (const [i, expected] of questions.entries()) {
      const own = found.questions[i]!;
      if (!chat) expect(own.prompt).toBe(expected.prompt);
      expect(own.promptTokens).toBe(expected.promptTokens);
      expect(own.tokens).toEqual(expected.tokens);
      expect(own.text).toBe(expected.text);
      compareScores(data, own.scores, expected.scores);
    }
    expect(found.cut > 0).toBe(context !== null);
  });
});

/** Of MATH the harness says only whether it is right. */
function compareScores(
  data: string,
  own: Readonly<Record<string, { answer: string; isRight: boolean }>>,
  expected: Scores,
) {
  const values = Object.values(expected);
  for (const [i, [name, said]] of Object.entries(own).entries()) {
    const found =
      expected[name] ?? (data === "gsm8k" || values.length === 0 ? undefined : values[i === 0 ? 0 : 1]);
    if (found === undefined) continue;
    if (data !== "math") expect(said.answer).toBe(found[0]);
    expect({ ...said, name }).toMatchObject({ isRight: found[1] === 1 });
  }
}

describe("texts are judged as lm-eval 0.4.13 judges them", () => {
  const firsts: Readonly<Record<string, number>> = {
    "math, a half": 1,
    "math, a root": 2,
    "math, boxed with a space": 3,
  };
  test.each(Object.entries(answers))("%s", (name, texts) => {
    const data = name.split(",")[0]!;
    const task = findWrittenTask(data)!;
    const { gold } = task.question(made[data].test[firsts[name] ?? 0], "harness");
    for (const [text, expected] of texts) {
      const own = task.manners.harness.scores.map((score) => {
        const answer = score.answer(text);
        return [score.name, { answer, isRight: score.isRight(answer, gold) }] as const;
      });
      compareScores(data, Object.fromEntries(own), expected);
    }
  });
});
