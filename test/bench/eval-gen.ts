import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { modelTokenizer } from "../../src/commands/shared/text.js";
import { evaluateWritten, type WrittenOptions } from "../../src/eval-gen/evaluate.js";
import { readExamples } from "../../src/eval-gen/examples.js";
import { makePrompts } from "../../src/eval-gen/prompts.js";
import { readWrittenQuestions } from "../../src/eval-gen/questions.js";
import { GSM8K } from "../../src/eval-gen/tasks/gsm8k.js";
import { generateBatch } from "../../src/generate/batch.js";
import { loadEngine } from "../../src/generate/load-engine.js";
import { endTokens } from "../../src/generate/text/end-tokens.js";
import { openModel } from "../../src/model.js";
import { load, printTable } from "./measure.js";

const QUESTIONS = 100;
const MAX_TOKENS = 256;
const CONTEXT = 2048;
const THREADS = availableParallelism();

/** One way to have all questions answered. */
interface Run {
  readonly name: string;
  readonly seconds: number;
  /** Processor time of all threads: what else runs on the machine counts for less than in `seconds`. */
  readonly cpuSeconds: number;
  readonly answers: readonly (readonly number[])[];
}

/**
 * GSM8K with five examples, questions one after the other and several at once, in turns: each alone with its whole prompt, as
 * `llq generate` takes it; one at a time with the examples kept; as many at once as is the default.
 * @param file questions of GSM8K's form. The examples are those of `examples`, a file of the same form
 */
export async function benchEvalGen(model: string, file: string, examples: string): Promise<void> {
  const opened = openModel(model);
  const tokenizer = modelTokenizer(opened);
  const questions = readWrittenQuestions(file, GSM8K, "llq").slice(0, QUESTIONS);
  const shown = readExamples(examples, GSM8K, "llq");
  const { stop } = GSM8K.manners.llq;
  const common = { threads: THREADS, context: CONTEXT, maxTokens: MAX_TOKENS };
  const alone = async () => {
    const room = CONTEXT - MAX_TOKENS;
    const prompts = makePrompts(GSM8K, tokenizer, questions, {
      protocol: "llq",
      shots: undefined,
      examples: shown,
      room,
    });
    const engine = await loadEngine(opened, common);
    try {
      const options = { maxTokens: MAX_TOKENS, stop, ends: endTokens(opened) };
      const answers: number[][] = [];
      for (const { ids } of prompts) {
        const [said] = await generateBatch(engine, opened.vocab, [ids], options);
        answers.push(said!.pieces.map(({ token }) => token));
      }
      return answers;
    } finally {
      await engine.close();
    }
  };
  const together = (options: WrittenOptions) => async () => {
    const found = await evaluateWritten(opened, tokenizer, GSM8K, questions, loadEngine, {
      ...common,
      examples: shown,
      ...options,
    });
    return found.questions.map(({ tokens }) => tokens);
  };
  const ways: [string, () => Promise<readonly (readonly number[])[]>][] = [
    ["each alone, whole prompts", alone],
    ["--batch 1, examples kept", together({ batch: 1 })],
    ["the default", together({})],
  ];
  const runs: Run[] = [];
  for (const [name, way] of ways) runs.push(await measured(name, way));
  const last = runs.at(-1)!;
  const rows = runs.map(({ name, seconds, cpuSeconds, answers }) => {
    const tokens = answers.reduce((sum, each) => sum + each.length, 0);
    const same = answers.filter((each, i) => each.join() === last.answers[i]!.join()).length;
    return [
      ...[name, String(tokens), `${same} of ${answers.length}`, seconds.toFixed(1), cpuSeconds.toFixed(1)],
      ...[
        (tokens / seconds).toFixed(1),
        (seconds / last.seconds).toFixed(2),
        (cpuSeconds / last.cpuSeconds).toFixed(2),
      ],
    ];
  });
  console.log(
    `\n${basename(model)}, ${questions.length} questions of ${basename(file)}, 5 shots, ${THREADS} threads, ${load()}`,
  );
  const head = ["", "tokens", "as the last", "s", "s of CPU", "tokens/s", "times", "times, CPU"];
  printTable(head, rows);
}

async function measured(name: string, way: () => Promise<Run["answers"]>): Promise<Run> {
  const started = performance.now();
  const before = process.cpuUsage();
  const answers = await way();
  const { user, system } = process.cpuUsage(before);
  return { name, answers, seconds: (performance.now() - started) / 1000, cpuSeconds: (user + system) / 1e6 };
} // biome-ignore format: calls in a line
