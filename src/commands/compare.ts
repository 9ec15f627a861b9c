import { Command } from "commander";
import { badInput } from "../../formats/errors.js";
import { compareModels } from "../eval/compare/compare-models.js";
import { comparePart } from "../eval/parts/compare.js";
import { t } from "../language/t.js";
import type { Model } from "../model.js";
import type { Activations } from "../net/products/matmul.js";
import type { ComparisonReport } from "../report/comparison.js";
import type { Part } from "../run/parts/part.js";
import { createProgress, interruptible, warn } from "../ui.js";
import { deliverComparison } from "./printed/comparison.js";
import { chooseFast, fastOption } from "./shared/measure/fast.js";
import {
  activationsOption,
  jsonOption,
  maxMemoryOption,
  partOption,
  threadsOption,
  wholeNumber,
} from "./shared/options.js";
import { partName, partNameOption, refuseForPart, runPart } from "./shared/parts/part.js";
import { withReports } from "./shared/report/deliver.js";
import { MODEL_ARGUMENT, openSource } from "./shared/source.js";
import { chunkBos, readTokens, warnOfContext } from "./shared/text.js";

interface CompareCommandOptions {
  readonly text: string;
  readonly base?: string;
  readonly context: number;
  readonly chunks?: number;
  readonly activations: Activations;
  readonly fast?: boolean | undefined;
  readonly maxMemory?: number;
  readonly html?: string;
  readonly markdown?: string;
  readonly threads?: number;
  readonly part?: Part;
  readonly output?: string;
  readonly json?: boolean;
}

export const compareCommand = new Command("compare")
  .summary(t`measure several files of one model beside each other`)
  .description(
    t`Measure several files of one model on a text, against a base: size, perplexity, divergence from the base,
same top tokens, speed; and how far the weights of each layer are from the base's. The base is evaluated once.`,
  )
  .argument("<models...>", t`each a ${MODEL_ARGUMENT}`)
  .requiredOption("-t, --text <file>", t`text file that the model was not trained on, or - for stdin`)
  .option("-b, --base <model>", t`what they are compared with (default: the first of them)`)
  .option("-c, --context <n>", t`tokens in a chunk; the second half of each is scored`, wholeNumber(3), 512)
  .option("--chunks <n>", t`chunks to evaluate (default: all)`, wholeNumber(1))
  .addOption(activationsOption())
  .addOption(fastOption())
  .addOption(maxMemoryOption())
  .option("--html <file>", t`write a page with charts, which needs nothing but a browser`)
  .option("--markdown <file>", t`write the table as Markdown`)
  .addOption(threadsOption())
  .addOption(partOption())
  .addOption(partNameOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq compare q8.gguf q6.gguf q4.gguf --text wiki.test.raw --base ./Llama-3.2-1B
  llq compare f16.gguf q4.gguf --text wiki.test.raw --chunks 40 --html report.html
  llq compare *.gguf --base ./Llama-3.2-1B --text wiki.test.raw --json > compare.json`,
  )
  .action(async (paths: readonly string[], options: CompareCommandOptions) => {
    const { html, markdown, part } = options;
    const name = partName(part, options.output);
    const fast = chooseFast(options.fast, { "--part": part !== undefined });
    refuseForPart(part, { "--html": html !== undefined, "--markdown": markdown !== undefined });
    if (part !== undefined) await measurePart(paths, options, part, name);
    else {
      await withReports([html, markdown], async () => {
        deliverComparison(await measure(paths, { ...options, fast }), options);
      });
    }
  });

async function measure(paths: readonly string[], options: CompareCommandOptions): Promise<ComparisonReport> {
  const { text, context, chunks, activations, fast, maxMemory, threads, json } = options;
  const { base, candidates, tokens } = await openAll(paths, options);
  const progress = { weights: createProgress(t`weights`, json), text: createProgress(t`text`, json) };
  const result = await interruptible((signal) =>
    compareModels(base, candidates, tokens, {
      ...{ context, chunks, activations, fast, maxMemory, threads },
      bos: chunkBos(base),
      signal,
      onProgress: (stage, done, total) => {
        progress[stage].update(done, total);
        if (done === total) progress[stage].stop();
      },
    }),
  ).finally(() => {
    for (const stage of Object.values(progress)) stage.stop();
  });
  return { text, result, fast };
}

async function measurePart(
  paths: readonly string[],
  options: CompareCommandOptions,
  part: Part,
  output: string,
): Promise<void> {
  const { base, candidates, tokens } = await openAll(paths, options);
  const { text, context, chunks, activations, maxMemory, threads, json } = options;
  const of = { context, chunks, activations, maxMemory, threads, text, bos: chunkBos(base) };
  await runPart("compare", t`tensors and chunks`, part, { json }, ({ signal, onProgress }) =>
    comparePart(output, part, base, candidates, tokens, {
      ...{ ...of, signal },
      onProgress: (stage, done, total) => {
        if (stage === "text") onProgress(done, total);
      },
    }),
  );
}

async function openAll(paths: readonly string[], options: CompareCommandOptions) {
  const [basePath, candidatePaths] =
    options.base === undefined ? [paths[0]!, paths.slice(1)] : [options.base, paths];
  const base = await openSource(basePath, { json: options.json });
  const candidates: Model[] = [];
  for (const path of candidatePaths) candidates.push(await openSource(path, { json: options.json }));
  warnOfContext(base, options.context, t`perplexity suffers beyond`);
  warnOfStructure(base, candidates);
  return { base, candidates, tokens: commonTokens(base, candidates, options.text) };
}

/** Says when it is not files of one model that stand beside each other. */
function warnOfStructure(base: Model, candidates: readonly Model[]): void {
  const shapes = new Map(base.tensors.map(({ name, shape }) => [name, shape.join("x")]));
  for (const { path, architecture, tensors } of candidates) {
    const other = tensors.find(({ name, shape }) => shapes.get(name) !== shape.join("x"));
    if (architecture.name === base.architecture.name && other === undefined) continue;
    const how =
      architecture.name === base.architecture.name ? t`its ${other!.name} is` : t`${architecture.name} is`;
    warn(t`${path}: ${how} not as in ${base.path}: these are two models, not two files of one`);
  }
}

/** @throws LlqError `bad-input` when not all models read the text as the same tokens */
function commonTokens(base: Model, candidates: readonly Model[], text: string): Int32Array {
  const tokens = readTokens(base, text);
  for (const candidate of candidates) {
    const own = readTokens(candidate, text);
    if (own.length === tokens.length && own.every((token, i) => token === tokens[i])) continue;
    throw badInput(
      t`${candidate.path}: its tokens of ${text} are not those of ${base.path}`,
      t`only files of one model can be compared`,
    );
  }
  return tokens;
}
