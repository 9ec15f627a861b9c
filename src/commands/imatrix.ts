import { Command, Option } from "commander";
import { LlqError } from "../../formats/errors.js";
import { DEFAULT_CONTEXT, hasOutput, type ImatrixProgress } from "../eval/imatrix/imatrix.js";
import {
  type ImatrixForm,
  type ImatrixSource,
  type WrittenImatrix,
  writeImatrix,
} from "../eval/imatrix/imatrix-file.js";
import { imatrixStatistics } from "../eval/imatrix/statistics.js";
import { computeImatrixPart } from "../eval/parts/imatrix.js";
import { t } from "../language/t.js";
import type { Activations } from "../net/products/matmul.js";
import type { IMATRIX, IMATRIX_STATISTICS } from "../report/documents/write.js";
import { printStatistics } from "../report/statistics.js";
import type { Part } from "../run/parts/part.js";
import { createProgress, interruptible, printJson, warn } from "../ui.js";
import { printImatrix } from "./printed/imatrix.js";
import {
  activationsOption,
  forceOption,
  jsonOption,
  maxMemoryOption,
  partOption,
  repeatable,
  resumeOption,
  threadsOption,
  wholeNumber,
} from "./shared/options.js";
import { warnOfPartial } from "./shared/partial.js";
import { refuseForPart, runPart } from "./shared/parts/part.js";
import { MODEL_ARGUMENT, openSource } from "./shared/source.js";
import { chunkBos, readSpecialTokens, readTokens, warnOfChunks, warnOfContext } from "./shared/text.js";

interface ImatrixCommandOptions {
  readonly output?: string;
  readonly outputFormat?: ImatrixForm;
  readonly in?: readonly string[];
  readonly context?: number;
  readonly chunks?: number;
  readonly fromChunk?: number;
  readonly processOutput?: boolean;
  readonly parseSpecial?: boolean;
  readonly showStatistics?: boolean;
  readonly activations: Activations;
  readonly maxMemory?: number;
  readonly threads?: number;
  readonly force?: boolean;
  readonly resume?: boolean;
  readonly part?: Part;
  readonly json?: boolean;
}

export const imatrixCommand = new Command("imatrix")
  .summary(t`compute an importance matrix, for llq quantize --imatrix`)
  .description(
    t`Run a text through a model and write down how large the inputs of each matrix are, column by column: what
llama-imatrix computes, in either of its formats. Quantizing with it spends precision where the model needs it.`,
  )
  .argument("[model]", t`${MODEL_ARGUMENT}; none to merge files only`)
  .argument("[text]", t`text file like what the model will be used on, or - for stdin`)
  .addOption(new Option("-o, --output <file>", t`file to write`))
  .addOption(
    new Option(
      "--output-format <form>",
      t`gguf, or dat as before 2025 (default: by the output's name)`,
    ).choices(["gguf", "dat"] satisfies ImatrixForm[]),
  )
  .addOption(repeatable("--in <file>", t`importance matrix, .gguf or .dat, to add to the result`))
  .option("-c, --context <n>", t`tokens in a chunk (default: 512, or as in the merged files)`, wholeNumber(1))
  .option("--chunks <n>", t`chunks to run (default: all)`, wholeNumber(1))
  .option(
    "--from-chunk <n>",
    t`chunks of the text to leave out before the first (default: 0)`,
    wholeNumber(0),
  )
  .option("--process-output", t`collect what goes into the output matrix, too`)
  .option("--parse-special", t`what is written like a control token in the text is one`)
  .option(
    "--show-statistics",
    t`print what the file of --in says of each matrix and block, and write nothing`,
  )
  .addOption(activationsOption())
  .addOption(maxMemoryOption())
  .addOption(threadsOption())
  .addOption(forceOption())
  .addOption(resumeOption())
  .addOption(partOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq imatrix ./Llama-3.2-1B calibration.txt -o llama-1b.imatrix.gguf
  llq imatrix llama-1b-q8.gguf calibration.txt -o llama-1b.imatrix.gguf --context 1024 --chunks 100
  llq imatrix ./Llama-3.2-1B more.txt --in llama-1b.imatrix.gguf -o larger.imatrix.gguf
  llq imatrix --in english.imatrix.gguf --in code.imatrix.dat -o both.imatrix.gguf
  llq imatrix --in llama-1b.imatrix.gguf --show-statistics
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --imatrix llama-1b.imatrix.gguf`,
  )
  .action(async (path: string | undefined, text: string | undefined, options: ImatrixCommandOptions) => {
    if (options.showStatistics) {
      showStatistics(path, options);
      return;
    }
    const output = outputOf(options);
    const { part } = options;
    refuseForPart(part, { "--in": options.in !== undefined });
    const source = await imatrixSource(path, text, options);
    if (part !== undefined) {
      await computePart(output, source!, part, options);
      return;
    }
    warnOfPartial(output, options);
    const progress = createProgress("imatrix", options.json);
    const written = await interruptible((signal) =>
      writeImatrix(output, source, {
        form: options.outputFormat,
        merge: options.in,
        context: options.context,
        chunks: options.chunks,
        fromChunk: options.fromChunk,
        output: options.processOutput,
        activations: options.activations,
        maxMemory: options.maxMemory,
        bos: source && chunkBos(source.model),
        threads: options.threads,
        force: options.force,
        resume: options.resume,
        signal,
        onProgress: (state) => progress.update(state.done, state.total, note(state)),
      }),
    ).finally(() => progress.stop());
    if (options.json) printJson<typeof IMATRIX>(document(path, text, written));
    else printImatrix(written);
  });

async function computePart(
  output: string,
  { model, text, tokens }: ImatrixSource,
  part: Part,
  options: ImatrixCommandOptions,
): Promise<void> {
  const { context, chunks, fromChunk, activations, maxMemory, threads, json } = options;
  const { outputFormat: form, processOutput } = options;
  const of = { context, chunks, fromChunk, output: processOutput, form, activations, dataset: text };
  await runPart("imatrix", t`chunks`, part, { json }, (watching) =>
    computeImatrixPart(output, part, model, tokens, {
      ...{ ...of, bos: chunkBos(model), maxMemory, threads },
      ...watching,
    }),
  );
}

function outputOf({ output }: ImatrixCommandOptions): string {
  if (output !== undefined) return output;
  throw new LlqError("usage", t`required option '-o, --output <file>' not specified`, {
    hint: t`llq imatrix <model> <text> -o <file>`,
  });
}

function showStatistics(
  path: string | undefined,
  { in: files = [], output, json }: ImatrixCommandOptions,
): void {
  const [file, ...others] = files;
  if (file === undefined || others.length > 0 || path !== undefined || output !== undefined) {
    throw new LlqError("usage", t`--show-statistics is of one file that there is, and writes none`, {
      hint: t`llq imatrix --in <file> --show-statistics`,
    });
  }
  const statistics = imatrixStatistics(file);
  if (json) printJson<typeof IMATRIX_STATISTICS>({ schema: 1, file, ...statistics });
  else printStatistics(file, statistics);
}

async function imatrixSource(
  path: string | undefined,
  text: string | undefined,
  options: ImatrixCommandOptions,
): Promise<ImatrixSource | undefined> {
  if (path === undefined) {
    if (options.in !== undefined) return undefined;
    throw new LlqError("usage", t`nothing to do: neither a model and a text nor --in is given`, {
      hint: t`llq imatrix <model> <text> -o <file>`,
    });
  }
  if (text === undefined) {
    throw new LlqError("usage", t`which text is to be run through ${path}?`, {
      hint: t`llq imatrix <model> <text> -o <file>`,
    });
  }
  const model = await openSource(path, options);
  warnOfContext(model, options.context ?? DEFAULT_CONTEXT, t`beyond, its activations are unusual`);
  if (options.processOutput && !hasOutput(model)) {
    warn(t`${path}: the output is the embedding, of which importance matrices have no entry`);
  }
  const tokens = (options.parseSpecial ? readSpecialTokens : readTokens)(model, text);
  const context = options.context ?? DEFAULT_CONTEXT;
  warnOfChunks(tokens.subarray((options.fromChunk ?? 0) * context), context, options.chunks);
  return { model, text, tokens };
}

function note({ tokensPerSecond }: ImatrixProgress): string {
  return t`${tokensPerSecond.toFixed(0)} tokens/s`;
}

function document(model: string | undefined, text: string | undefined, written: WrittenImatrix) {
  const { computed, ...rest } = written;
  if (computed === undefined) return { schema: 1 as const, ...rest };
  const { resumed, seconds, tokensPerSecond } = computed;
  return { schema: 1 as const, model, text, ...rest, resumed, seconds, tokensPerSecond };
}
