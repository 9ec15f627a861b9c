import { Command, Option } from "commander";
import { LlqError } from "../../formats/errors.js";
import { evaluateChoice } from "../eval/choice/choice.js";
import { evaluateChoiceFolder, readQuestionFolder } from "../eval/choice/folder.js";
import { PROTOCOLS, type ProtocolName } from "../eval/choice/protocols.js";
import { readQuestions, subjectOf } from "../eval/choice/questions.js";
import { evaluateChoicePart } from "../eval/parts/choice.js";
import { t } from "../language/t.js";
import type { Activations } from "../net/products/matmul.js";
import type { CHOICE, CHOICE_FOLDER } from "../report/documents/evaluate.js";
import type { Part } from "../run/parts/part.js";
import { createProgress, interruptible, printJson } from "../ui.js";
import { printChoice, printFolder } from "./printed/choice.js";
import { chooseFast, fastOption } from "./shared/measure/fast.js";
import {
  activationsOption,
  jsonOption,
  maxMemoryOption,
  partOption,
  threadsOption,
  wholeNumber,
} from "./shared/options.js";
import { partName, partNameOption, runPart } from "./shared/parts/part.js";
import { MODEL_ARGUMENT, openSource } from "./shared/source.js";
import { modelTokenizer } from "./shared/text.js";

interface EvalChoiceOptions {
  readonly protocol: ProtocolName;
  readonly dev?: string;
  readonly shots?: number;
  readonly subject?: string;
  readonly limit?: number;
  readonly activations: Activations;
  readonly fast?: boolean | undefined;
  readonly maxMemory?: number;
  readonly threads?: number;
  readonly part?: Part;
  readonly output?: string;
  readonly json?: boolean;
}

export const evalChoiceCommand = new Command("eval-choice")
  .summary(t`measure how many multiple choice questions a model gets right`)
  .description(
    t`Ask multiple choice questions: the option that the model finds likeliest is its answer. Reads the published
files of MMLU, C-Eval and CMMLU (csv) and of ARC, HellaSwag, Winogrande, BoolQ, PIQA, TruthfulQA and LAMBADA
(jsonl, or a JSON array), and asks in the words that are usual for each. Questions longer than the model's context
are left out and counted.`,
  )
  .argument("<model>", MODEL_ARGUMENT)
  .argument("<file>", t`questions, as csv, jsonl or a JSON array, or a folder with a file for each subject`)
  .addOption(
    new Option(
      "--protocol <name>",
      t`prompts, tokens and scores as llq has them, or as lm-evaluation-harness 0.4.13`,
    )
      .choices(PROTOCOLS)
      .default("llq" satisfies ProtocolName),
  )
  .option(
    "--dev <file>",
    t`file of the same format (or folder) whose questions are shown first, with their answers`,
  )
  .option("--shots <n>", t`how many of them (default: all)`, wholeNumber(0))
  .option("--subject <name>", t`what the prompt says they are about (default: by the file's name)`)
  .option("--limit <n>", t`questions to ask, from the start of each file (default: all)`, wholeNumber(1))
  .addOption(activationsOption())
  .addOption(fastOption())
  .addOption(maxMemoryOption())
  .addOption(threadsOption())
  .addOption(partOption())
  .addOption(partNameOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq eval-choice llama-1b-q4.gguf test/anatomy_test.csv
  llq eval-choice llama-1b-q4.gguf test/anatomy_test.csv --dev dev/anatomy_dev.csv --shots 5
  llq eval-choice llama-1b-q4.gguf mmlu/test --dev mmlu/dev --shots 5
  llq eval-choice ./Llama-3.2-1B hellaswag_val.jsonl --limit 400
  llq eval-choice llama-1b-q4.gguf ARC-Challenge-Test.jsonl --json > arc.json
  llq eval-choice llama-1b-q4.gguf hellaswag_val.jsonl --dev hellaswag_train.jsonl --shots 10 --protocol harness

${t`What --protocol harness does otherwise: endings compare by characters instead of tokens ("by length"; only where the
harness has acc_norm); shots are drawn anew for every question, as Python's Random(1234) does, from all of --dev (the
first ones for MMLU, C-Eval and CMMLU); an ending has the tokens that its prompt has not, even where they join; a question
longer than the context is cut at its beginning; C-Eval's header is that of the harness.`}`,
  )
  .action(async (path: string, filePath: string, options: EvalChoiceOptions) => {
    const { protocol, dev, shots, subject, limit, activations, maxMemory, threads, part, json } = options;
    if (shots !== undefined && dev === undefined) {
      throw new LlqError("usage", t`--shots are taken from --dev, which is not given`, {
        hint: t`--dev <file> names questions of the same form`,
      });
    }
    const fast = chooseFast(options.fast, { "--part": part !== undefined });
    const files = readQuestionFolder(filePath, dev);
    if (files !== undefined && subject !== undefined) {
      throw new LlqError("usage", t`--subject is of one file; those of a folder have one each`);
    }
    const file = files?.[0]?.file ?? readQuestions(filePath);
    const examples = files !== undefined || dev === undefined ? undefined : readQuestions(dev);
    const name = partName(part, options.output);
    const model = await openSource(path, { json });
    const tokenizer = modelTokenizer(model);
    if (part !== undefined) {
      const own = files ?? [{ subject: subject ?? subjectOf(filePath), file, examples }];
      const of = { path: filePath, isFolder: files !== undefined, protocol, shots, limit, subject };
      await runPart("eval-choice", t`questions`, part, { json }, (watching) =>
        evaluateChoicePart(name, part, model, tokenizer, own, {
          ...{ ...of, activations, maxMemory, threads },
          ...watching,
        }),
      );
      return;
    }
    const progress = createProgress("eval-choice", json);
    const onProgress = (done: number, total: number) => progress.update(done, total);
    const common = { protocol, shots, limit, activations, fast, maxMemory, threads, onProgress };
    const about = { model: path, file: filePath, fast, format: file.task.name };
    if (files === undefined) {
      const result = await interruptible((signal) =>
        evaluateChoice(model, tokenizer, file, { ...common, examples, subject, signal }),
      ).finally(() => progress.stop());
      if (json) printJson<typeof CHOICE>({ schema: 1, ...about, ...result });
      else printChoice(about, result);
      return;
    }
    const result = await interruptible((signal) =>
      evaluateChoiceFolder(model, tokenizer, files, { ...common, signal }),
    ).finally(() => progress.stop());
    if (json) printJson<typeof CHOICE_FOLDER>({ schema: 1, ...about, protocol, ...result });
    else printFolder(about, result);
  });
