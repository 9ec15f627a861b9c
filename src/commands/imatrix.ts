import { Command } from "commander";
import { LlqError } from "../../formats/errors.js";
import { DEFAULT_CONTEXT, type ImatrixProgress } from "../eval/imatrix/imatrix.js";
import { type ImatrixSource, type WrittenImatrix, writeImatrix } from "../eval/imatrix/imatrix-file.js";
import { t } from "../language/t.js";
import type { Activations } from "../net/products/matmul.js";
import type { IMATRIX } from "../report/documents/write.js";
import { createProgress, formatSeconds, interruptible, printJson, printLine } from "../ui.js";
import {
  activationsOption,
  forceOption,
  jsonOption,
  maxMemoryOption,
  outputOption,
  repeatable,
  resumeOption,
  threadsOption,
  wholeNumber,
} from "./shared/options.js";
import { warnOfPartial } from "./shared/partial.js";
import { MODEL_ARGUMENT, openSource } from "./shared/source.js";
import { chunkBos, readTokens, warnOfChunks, warnOfContext } from "./shared/text.js";

interface ImatrixCommandOptions {
  readonly output: string;
  readonly in?: readonly string[];
  readonly context?: number;
  readonly chunks?: number;
  readonly activations: Activations;
  readonly maxMemory?: number;
  readonly threads?: number;
  readonly force?: boolean;
  readonly resume?: boolean;
  readonly json?: boolean;
}

export const imatrixCommand = new Command("imatrix")
  .summary(t`compute an importance matrix, for llq quantize --imatrix`)
  .description(
    t`Run a text through a model and write down how large the inputs of each matrix are, column by column: what
llama-imatrix computes, in its GGUF format. Quantizing with it spends precision where the model needs it.`,
  )
  .argument("[model]", t`${MODEL_ARGUMENT}; none to merge files only`)
  .argument("[text]", t`text file like what the model will be used on, or - for stdin`)
  .addOption(outputOption())
  .addOption(repeatable("--in <file>", t`importance matrix, .gguf or .dat, to add to the result`))
  .option("-c, --context <n>", t`tokens in a chunk (default: 512, or as in the merged files)`, wholeNumber(1))
  .option("--chunks <n>", t`chunks to run (default: all)`, wholeNumber(1))
  .addOption(activationsOption())
  .addOption(maxMemoryOption())
  .addOption(threadsOption())
  .addOption(forceOption())
  .addOption(resumeOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq imatrix ./Llama-3.2-1B calibration.txt -o llama-1b.imatrix.gguf
  llq imatrix llama-1b-q8.gguf calibration.txt -o llama-1b.imatrix.gguf --context 1024 --chunks 100
  llq imatrix ./Llama-3.2-1B more.txt --in llama-1b.imatrix.gguf -o larger.imatrix.gguf
  llq imatrix --in english.imatrix.gguf --in code.imatrix.dat -o both.imatrix.gguf
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --imatrix llama-1b.imatrix.gguf`,
  )
  .action(async (path: string | undefined, text: string | undefined, options: ImatrixCommandOptions) => {
    const source = await imatrixSource(path, text, options);
    warnOfPartial(options.output, options);
    const progress = createProgress("imatrix", options.json);
    const written = await interruptible((signal) =>
      writeImatrix(options.output, source, {
        merge: options.in,
        context: options.context,
        chunks: options.chunks,
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
    else printResult(written);
  });

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
  const tokens = readTokens(model, text);
  warnOfChunks(tokens, options.context ?? DEFAULT_CONTEXT, options.chunks);
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

function printResult({ output, entries, chunks, chunkSize, computed }: WrittenImatrix): void {
  printLine(t`${output}: ${entries} matrices, ${chunks} chunks of ${chunkSize} tokens`);
  if (computed === undefined) return;
  if (computed.resumed > 0) printLine(t`${computed.resumed} chunks were done already`);
  printLine(t`${formatSeconds(computed.seconds)}, ${computed.tokensPerSecond.toFixed(0)} tokens/s`);
}
