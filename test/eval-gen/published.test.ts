import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { modelTokenizer } from "../../src/commands/shared/text.js";
import { evaluateWritten } from "../../src/eval-gen/evaluate.js";
import { readExamples } from "../../src/eval-gen/examples.js";
import { readWrittenQuestions } from "../../src/eval-gen/questions.js";
import { findWrittenTask } from "../../src/eval-gen/tasks/index.js";
import { loadEngine } from "../../src/generate/load-engine.js";
import { openModel } from "../../src/model.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// Questions as they are published, see golden/make/harness_published.py.

const folder = scratchFolder();
const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../golden/harness/${name}`, import.meta.url), "utf8"));
const model = openModel(TINY_LLAMA);
const tokenizer = modelTokenizer(model);

interface Run {
  readonly task: string;
  readonly data: "gsm8k" | "bbh" | "humaneval";
  readonly part?: string;
  readonly shots: number;
  readonly questions: readonly {
    readonly prompt: string;
    readonly promptTokens: number;
    readonly tokens: readonly number[];
    readonly text: string;
    readonly scores: Readonly<Record<string, readonly [answer: string, score: number]>>;
  }[];
}
const { maxTokens, context, runs }: { maxTokens: number; context: number; runs: readonly Run[] } =
  golden("published.json");
const made = golden("published-questions.json");

/** Questions and examples, in the form each is published in. */
function filesOf({ data, part }: Run): [questions: string, examples: string] {
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const lines = (rows: readonly unknown[] = []) => rows.map((row) => JSON.stringify(row)).join("\n");
  if (part === undefined) {
    return [write("test.jsonl", lines(made[data].test)), write("train.jsonl", lines(made[data].train))];
  }
  for (const name of [part, `${part}-prompts`]) mkdirSync(join(folder, name), { recursive: true });
  const { test, prompt } = made.bbh[part];
  write(`${part}/${part}.json`, JSON.stringify({ canary: "x", examples: test }));
  write(`${part}-prompts/${part}.txt`, prompt);
  return [join(folder, part), join(folder, `${part}-prompts`)];
}

describe("GSM8K, BBH and HumanEval are asked and judged as by lm-eval 0.4.13 with transformers", {
  timeout: 120_000,
}, () => {
  test.each(runs.map((run) => [`${run.task}, ${run.shots} shots`, run] as const))("%s", async (_, run) => {
    const task = findWrittenTask(run.data)!;
    const [file, shown] = filesOf(run);
    const found = await evaluateWritten(model, tokenizer, task, readWrittenQuestions(file, task, "harness"), loadEngine, {
      ...{ protocol: "harness", maxTokens, context, shots: run.shots, threads: 1, kvType: "f32", activations: "f32" },
      examples: run.shots === 0 ? undefined : readExamples(shown, task, "harness"),
    });
    expect(found.questions).toHaveLength(run.questions.length);
    for (const [i, { prompt, promptTokens, tokens, text, scores }] of run.questions.entries()) {
      const own = found.questions[i]!;
      expect(own).toMatchObject({ prompt, promptTokens, tokens, text });
      for (const [name, [answer, score]] of Object.entries(scores)) {
        expect({ name, ...own.scores[name] }).toEqual({ name, answer, isRight: score === 1 });
      }
    }
  });

  test("twenty of each", () => {
    const count = (data: string) => runs.filter((run) => run.data === data && run.shots !== 2).reduce((sum, { questions }) => sum + questions.length, 0);
    expect([count("gsm8k"), count("bbh"), count("humaneval")]).toEqual([20, 20, 20]);
  });
}); // biome-ignore format: long calls
