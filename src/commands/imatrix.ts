import { Command } from "commander";
import { LlqError } from "../../formats/errors.js";
import { DEFAULT_CONTEXT, type ImatrixProgress } from "../eval/imatrix/imatrix.js";
import { type ImatrixSource, type WrittenImatrix, writeImatrix } from "../eval/imatrix/imatrix-file.js";
import { computeImatrixPart } from "../eval/parts/imatrix.js";
import type { Activations } from "../net/products/matmul.js";
import type { IMATRIX } from "../report/documents/write.js";
import type { Part } from "../run/parts/part.js";
import { createProgress, interruptible, printJson } from "../ui.js";
import { printImatrix } from "./printed/imatrix.js";
import {
  activationsOption,
  forceOption,
  jsonOption,
  maxMemoryOption,
  outputOption,
  partOption,
  repeatable,
  resumeOption,
  threadsOption,
  wholeNumber,
} from "./shared/options.js";
import { warnOfPartial } from "./shared/partial.js";
import { refuseForPart, runPart } from "./shared/parts/part.js";
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
  readonly part?: Part;
  readonly json?: boolean;
}

export const imatrixCommand = new Command("imatrix")
  .summary("compute an importance matrix, for llq quantize --imatrix")
  .description(
    "Run a text through a model and write down how large the inputs of each matrix are, column by column: what\n" +
      "llama-imatrix computes, in its GGUF format. Quantizing with it spends precision where the model needs it.",
  )
  .argument("[model]", `${MODEL_ARGUMENT}; none to merge files only`)
  .argument("[text]", "text file like what the model will be used on, or - for stdin")
  .addOption(outputOption())
  .addOption(repeatable("--in <file>", "importance matrix, .gguf or .dat, to add to the result"))
  .option("-c, --context <n>", "tokens in a chunk (default: 512, or as in the merged files)", wholeNumber(1))
  .option("--chunks <n>", "chunks to run (default: all)", wholeNumber(1))
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
Examples:
  llq imatrix ./Llama-3.2-1B calibration.txt -o llama-1b.imatrix.gguf
  llq imatrix llama-1b-q8.gguf calibration.txt -o llama-1b.imatrix.gguf --context 1024 --chunks 100
  llq imatrix ./Llama-3.2-1B more.txt --in llama-1b.imatrix.gguf -o larger.imatrix.gguf
  llq imatrix --in english.imatrix.gguf --in code.imatrix.dat -o both.imatrix.gguf
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --imatrix llama-1b.imatrix.gguf`,
  )
  .action(async (path: string | undefined, text: string | undefined, options: ImatrixCommandOptions) => {
    const { part } = options;
    refuseForPart(part, { "--in": options.in !== undefined });
    const source = await imatrixSource(path, text, options);
    if (part !== undefined) {
      await computePart(source!, part, options);
      return;
    }
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
    else printImatrix(written);
  });

async function computePart(
  { model, text, tokens }: ImatrixSource,
  part: Part,
  { output, context, chunks, activations, maxMemory, threads, json }: ImatrixCommandOptions,
): Promise<void> {
  const of = { context, chunks, activations, bos: chunkBos(model), dataset: text };
  await runPart("imatrix", "chunks", part, { json }, (watching) =>
    computeImatrixPart(output, part, model, tokens, { ...of, maxMemory, threads, ...watching }),
  );
}

async function imatrixSource(
  path: string | undefined,
  text: string | undefined,
  options: ImatrixCommandOptions,
): Promise<ImatrixSource | undefined> {
  if (path === undefined) {
    if (options.in !== undefined) return undefined;
    throw new LlqError("usage", "nothing to do: neither a model and a text nor --in is given", {
      hint: "llq imatrix <model> <text> -o <file>",
    });
  }
  if (text === undefined) {
    throw new LlqError("usage", `which text is to be run through ${path}?`, {
      hint: "llq imatrix <model> <text> -o <file>",
    });
  }
  const model = await openSource(path, options);
  warnOfContext(model, options.context ?? DEFAULT_CONTEXT, "beyond, its activations are unusual");
  const tokens = readTokens(model, text);
  warnOfChunks(tokens, options.context ?? DEFAULT_CONTEXT, options.chunks);
  return { model, text, tokens };
}

function note({ tokensPerSecond }: ImatrixProgress): string {
  return `${tokensPerSecond.toFixed(0)} tokens/s`;
}

function document(model: string | undefined, text: string | undefined, written: WrittenImatrix) {
  const { computed, ...rest } = written;
  if (computed === undefined) return { schema: 1 as const, ...rest };
  const { resumed, seconds, tokensPerSecond } = computed;
  return { schema: 1 as const, model, text, ...rest, resumed, seconds, tokensPerSecond };
}
