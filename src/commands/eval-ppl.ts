import { Command } from "commander";
import { LlqError } from "../../formats/errors.js";
import { type Baseline, withBaseline } from "../eval/divergence/baseline.js";
import { evaluatePerplexityPart } from "../eval/parts/perplexity.js";
import { isSettled, judge, needsBase } from "../eval/perplexity/gate.js";
import { evaluatePerplexity, type PerplexityProgress } from "../eval/perplexity/perplexity.js";
import { boundary } from "../eval/perplexity/sequential.js";
import type { ChunkMeans } from "../eval/perplexity/tally.js";
import { t } from "../language/t.js";
import type { Model } from "../model.js";
import type { Activations } from "../net/products/matmul.js";
import type { Report } from "../report/report.js";
import type { Part } from "../run/parts/part.js";
import { checkOutputs } from "../run/write/claim.js";
import { createProgress, interruptible } from "../ui.js";
import { chooseFast, fastOption } from "./shared/measure/fast.js";
import {
  activationsOption,
  forceOption,
  jsonOption,
  loraOption,
  maxMemoryOption,
  partOption,
  threadsOption,
  wholeNumber,
} from "./shared/options.js";
import { partName, partNameOption, refuseForPart, runPart } from "./shared/parts/part.js";
import { type BoundOptions, boundOptions, gateOf, hasBounds, passGate } from "./shared/report/bounds.js";
import { type DeliverOptions, deliver, withReports } from "./shared/report/deliver.js";

import { MODEL_ARGUMENT, openSource } from "./shared/source.js";
import { chunkBos, readTokens, warnOfChunks, warnOfContext } from "./shared/text.js";

interface EvalPplOptions extends DeliverOptions, BoundOptions {
  readonly context: number;
  readonly chunks?: number;
  readonly activations: Activations;
  readonly fast?: boolean | undefined;
  readonly maxMemory?: number;
  readonly stride?: number;
  readonly fullWindow?: boolean;
  readonly baseline?: string;
  readonly baseModel?: string;
  readonly save?: string;
  readonly top: number;
  readonly fullLogits?: boolean;
  readonly force?: boolean;
  readonly sequential?: boolean;
  readonly threads?: number;
  readonly lora?: readonly string[];
  readonly part?: Part;
  readonly output?: string;
}

/**
 * Likeliest tokens that a baseline keeps; what the others add to the divergence is estimated (base-top.ts). For the
 * flat distributions of samples/tiny-llama the mean is right to 0.5 % with 256 of 2048, to 2 % with 32.
 */
const DEFAULT_TOP = 256;

export const evalPplCommand = new Command("eval-ppl")
  .summary(t`measure a model's perplexity on a text, and how far it is from a base`)
  .description(
    t`Measure how well a model predicts a text: perplexity by the protocol of llama-perplexity. Lower is better;
compare files of one model on one text.
With a base, also how far the model's distributions are from the base's (Kullback-Leibler divergence).`,
  )
  .argument("<model>", MODEL_ARGUMENT)
  .argument("[text]", t`text file that the model was not trained on, or - for stdin; a baseline has its own`)
  .option("-c, --context <n>", t`tokens in a chunk; the second half of each is scored`, wholeNumber(3), 512)
  .option("--chunks <n>", t`chunks to evaluate (default: all)`, wholeNumber(1))
  .addOption(activationsOption())
  .addOption(fastOption())
  .addOption(maxMemoryOption())
  .option("--stride <n>", t`overlapping chunks, as llama-perplexity --ppl-stride`, wholeNumber(1))
  .option("--full-window", t`score every token of each chunk, as papers on quantization do`)
  .option("--base-model <model>", t`compare with this model, evaluated beside it`)
  .option("--baseline <file>", t`compare with a file of --save, or of llama-perplexity --kl-divergence-base`)
  .option("--save <file>", t`write what the model says, for --baseline`)
  .option(
    "--top <k>",
    t`likeliest tokens that --save keeps of each distribution`,
    wholeNumber(1),
    DEFAULT_TOP,
  )
  .option("--full-logits", t`let --save keep whole distributions, in f16`)
  .addOption(forceOption())
  .option("--sequential", t`stop early when the bounds are clearly met, or one clearly broken`)
  .option("--junit <file>", t`write the bounds as JUnit test cases`)
  .option("--markdown <file>", t`write the result as Markdown`)
  .addOption(partOption())
  .addOption(partNameOption())
  .addOption(loraOption())
  .addOption(threadsOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq eval-ppl llama-1b-q4.gguf wiki.test.raw
  llq eval-ppl ./Llama-3.2-1B wiki.test.raw --chunks 20
  llq eval-ppl llama-1b-q4.gguf wiki.test.raw --base-model ./Llama-3.2-1B
  llq eval-ppl ./Llama-3.2-1B wiki.test.raw --lora ./adapter --base-model ./Llama-3.2-1B
  llq eval-ppl ./Llama-3.2-1B wiki.test.raw --save base.llq
  llq eval-ppl llama-1b-q4.gguf --baseline base.llq
  llq eval-ppl llama-1b-q4.gguf --baseline base.llq --max-kld 0.05 --max-ppl-ratio 1.03 --sequential
  llq eval-ppl llama-1b-q4.gguf wiki.test.raw --json > ppl.json

${t`A baseline of --save has the likeliest tokens only; of the others it estimates what they add to the divergence: the mean
was right to 0.5 % on the models it was tried on. Exact are --base-model, and --full-logits, whose file is larger.
With --activations f32 the loss is that of the weights alone; int8 is faster, and what a device will compute.
Weights that are floats are multiplied in f32 either way; --fast rounds there once instead of twice, where the engine can: the
same with every number of threads, but not on every machine. What is saved for others is exact.
In GitHub Actions the result is added to the job's summary, and broken bounds are annotated.`}`,
  )
  .action(async (path: string, textPath: string | undefined, options: EvalPplOptions) => {
    checkOptions(textPath, options);
    const { part, output } = options;
    const fast = chooseFast(options.fast, {
      "--part": part !== undefined,
      "--save": options.save !== undefined,
    });
    refuseForPart(part, {
      "--save": options.save !== undefined,
      "--sequential": options.sequential === true,
      "a bound": hasBounds(options),
      "--junit": options.junit !== undefined,
      "--markdown": options.markdown !== undefined,
    });
    if (part !== undefined) {
      await measurePart(path, textPath, options, part, partName(part, output));
      return;
    }
    partName(part, output);
    const { save, junit, markdown, force } = options;
    const report = await withReports([junit, markdown], async () => {
      if (save !== undefined) checkOutputs([save], { force });
      const measured = await measure(path, textPath, { ...options, fast });
      deliver(measured, options);
      return measured;
    });
    if (report.gate !== undefined) passGate(path, report.gate);
  });

async function measure(path: string, textPath: string | undefined, options: EvalPplOptions): Promise<Report> {
  return withBase(path, options, (model, base) => evaluate(model, textPath, options, base));
}

/** Opens the model, and what it is compared with, for as long as `use` takes. */
async function withBase<T>(
  path: string,
  { baseline, baseModel, json, lora }: EvalPplOptions,
  use: (model: Model, base: Model | Baseline | undefined) => Promise<T>,
): Promise<T> {
  const model = await openSource(path, { json, lora });
  if (baseline !== undefined) return withBaseline(baseline, chunkBos(model), (base) => use(model, base));
  return use(model, baseModel === undefined ? undefined : await openSource(baseModel, { json }));
}

async function measurePart(
  path: string,
  textPath: string | undefined,
  options: EvalPplOptions,
  part: Part,
  output: string,
): Promise<void> {
  await withBase(path, options, async (model, base) => {
    const { context, chunks, activations, stride, fullWindow, threads, maxMemory, json } = options;
    const tokens = textPath === undefined ? undefined : readTokens(model, textPath);
    const protocol = { context, chunks, stride, fullWindow, bos: chunkBos(model) };
    await runPart("eval-ppl", t`chunks`, part, { json }, (each) =>
      evaluatePerplexityPart(output, part, model, tokens, {
        ...protocol,
        ...{ base, activations, threads, maxMemory, text: textPath },
        ...each,
      }),
    );
  });
}

/** @throws LlqError `usage` for options that exclude each other */
function checkOptions(textPath: string | undefined, options: EvalPplOptions): void {
  const refuse = (message: string, hint?: string) => {
    throw new LlqError("usage", message, { hint });
  };
  const { baseline, baseModel, stride, fullWindow, save, fullLogits, sequential } = options;
  if (textPath === undefined && baseline === undefined) refuse(t`no text to evaluate`);
  if (baseline !== undefined && baseModel !== undefined)
    refuse(t`--baseline and --base-model exclude each other`);
  if (stride !== undefined && fullWindow) refuse(t`--stride and --full-window exclude each other`);
  if (baseline !== undefined && (stride !== undefined || fullWindow)) {
    refuse(t`--baseline says itself by which protocol it was made`, t`leave --stride and --full-window out`);
  }
  if (needsBase(options) && baseline === undefined && baseModel === undefined) {
    refuse(t`a bound compares with a base, but there is none`, t`--base-model or --baseline names one`);
  }
  if (sequential && !hasBounds(options)) {
    refuse(t`--sequential stops when the bounds are settled, but there are none`);
  }
  if (sequential && save !== undefined) refuse(t`--save needs every chunk, --sequential leaves some out`);
  if (fullLogits && save === undefined)
    refuse(t`--full-logits says what --save keeps, but there is no --save`);
}

async function evaluate(
  model: Model,
  textPath: string | undefined,
  options: EvalPplOptions,
  base: Model | Baseline | undefined,
): Promise<Report> {
  const { context, chunks, activations, stride, fullWindow, threads, save, fullLogits, top } = options;
  const { maxMemory, fast } = options;
  const { sequential } = options;
  if (options.baseline === undefined) warnOfContext(model, context, t`perplexity suffers beyond`);
  const progress = createProgress("eval-ppl", options.json);
  let clear: number | undefined;
  const isEnough = (means: readonly ChunkMeans[], look: number) => {
    clear = boundary(look);
    return isSettled(judge(options, means, clear));
  };
  const tokens = textPath === undefined ? undefined : readTokens(model, textPath);
  if (tokens !== undefined && stride === undefined) warnOfChunks(tokens, context, chunks);
  const result = await interruptible((signal) =>
    evaluatePerplexity(model, tokens, {
      context,
      chunks,
      activations,
      fast,
      maxMemory,
      stride,
      fullWindow,
      bos: chunkBos(model),
      base,
      save:
        save === undefined
          ? undefined
          : {
              path: save,
              force: options.force,
              keep: fullLogits ? { form: "full" } : { form: "top", k: top },
            },
      isEnough: sequential ? isEnough : undefined,
      threads,
      signal,
      onProgress: (state) => progress.update(state.done, state.total, note(state)),
    }),
  ).finally(() => progress.stop());
  return {
    model: model.path,
    text: textPath,
    base: base?.path,
    result,
    fast,
    gate: gateOf(options, result.chunkMeans, clear),
  };
}

function note({ running, tokensPerSecond }: PerplexityProgress): string {
  const last = running.at(-1);
  const so = last === undefined ? "" : t`, perplexity ${last.toFixed(4)} after ${running.length} chunks`;
  return t`${tokensPerSecond.toFixed(0)} tokens/s${so}`;
}

for (const option of boundOptions()) evalPplCommand.addOption(option);
