import { Command } from "commander";
import { LlqError } from "../../formats/errors.js";
import { type ChoiceResult, evaluateChoice } from "../eval/choice/choice.js";
import { readQuestions } from "../eval/choice/questions.js";
import type { Interval } from "../eval/perplexity/statistics.js";
import type { Activations } from "../net/products/matmul.js";
import { createProgress, formatSeconds, interruptible, printJson, printLine } from "../ui.js";
import {
  activationsOption,
  jsonOption,
  maxMemoryOption,
  threadsOption,
  wholeNumber,
} from "./shared/options.js";
import { MODEL_ARGUMENT, openSource } from "./shared/source.js";
import { modelTokenizer } from "./shared/text.js";

interface EvalChoiceOptions {
  readonly dev?: string;
  readonly shots?: number;
  readonly subject?: string;
  readonly limit?: number;
  readonly activations: Activations;
  readonly maxMemory?: number;
  readonly threads?: number;
  readonly json?: boolean;
}

export const evalChoiceCommand = new Command("eval-choice")
  .summary("measure how many multiple choice questions a model gets right")
  .description(
    "Ask multiple choice questions: the option that the model finds likeliest is its answer. Reads the published\n" +
      "files of MMLU, C-Eval and CMMLU (csv) and of ARC, HellaSwag, Winogrande and BoolQ (jsonl), and asks in the\n" +
      "words that are usual for each. Questions longer than the model's context are left out and counted.",
  )
  .argument("<model>", MODEL_ARGUMENT)
  .argument("<file>", "questions, as csv or jsonl; their fields say which format it is")
  .option("--dev <file>", "file of the same format whose questions are shown first, with their answers")
  .option("--shots <n>", "how many of them (default: all)", wholeNumber(0))
  .option("--subject <name>", "what the prompt says they are about (default: by the file's name)")
  .option("--limit <n>", "questions to ask, from the start of the file (default: all)", wholeNumber(1))
  .addOption(activationsOption())
  .addOption(maxMemoryOption())
  .addOption(threadsOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
Examples:
  llq eval-choice llama-1b-q4.gguf test/anatomy_test.csv
  llq eval-choice llama-1b-q4.gguf test/anatomy_test.csv --dev dev/anatomy_dev.csv --shots 5
  llq eval-choice ./Llama-3.2-1B hellaswag_val.jsonl --limit 400
  llq eval-choice llama-1b-q4.gguf ARC-Challenge-Test.jsonl --json > arc.json`,
  )
  .action(async (path: string, filePath: string, options: EvalChoiceOptions) => {
    const { dev, shots, subject, limit, activations, maxMemory, threads, json } = options;
    if (shots !== undefined && dev === undefined) {
      throw new LlqError("usage", "--shots are taken from --dev, which is not given");
    }
    const file = readQuestions(filePath);
    const examples = dev === undefined ? undefined : readQuestions(dev);
    const model = await openSource(path, { json });
    const progress = createProgress("eval-choice", json);
    const tokenizer = modelTokenizer(model);
    const result = await interruptible((signal) =>
      evaluateChoice(model, tokenizer, file, {
        examples,
        shots,
        subject,
        limit,
        activations,
        maxMemory,
        threads,
        signal,
        onProgress: (done, total) => progress.update(done, total),
      }),
    ).finally(() => progress.stop());
    const about = { model: path, file: filePath, format: file.task.name };
    if (json) printJson({ schema: 1, ...about, ...result });
    else printResult(about, result);
  });

function printResult(about: { model: string; format: string }, result: ChoiceResult): void {
  const { accuracy, accuracyNormalized, chance, questions, skipped, shots, seconds } = result;
  printLine(about.model);
  printLine(`  accuracy             ${percent(accuracy)}`);
  printLine(`  by length of ending  ${percent(accuracyNormalized)}`);
  printLine(`  chance               ${(100 * chance).toFixed(2)} %`);
  const left = skipped > 0 ? `, ${skipped} left out (longer than the context)` : "";
  const asked = `${questions.length} questions of ${about.format}, ${shots} shots${left}`;
  printLine(`${asked}; ${formatSeconds(seconds)}`);
}

function percent({ value, low, high }: Interval): string {
  const [share, from, to] = [value, low, high].map((x) => (100 * x).toFixed(2));
  return `${share} % (95 %: ${from} to ${to})`;
}
