import { Command } from "commander";
import { openImatrix } from "../../formats/imatrix/imatrix.js";
import { measureSensitivityPart } from "../eval/parts/sensitivity.js";
import {
  DEFAULT_CHUNKS,
  DEFAULT_CONTEXT,
  DEFAULT_TYPES,
  writeSensitivity,
} from "../eval/sensitivity/sensitivity-file.js";
import { t } from "../language/t.js";
import { findWritableType } from "../quant/recipes/override.js";
import type { SENSITIVITY } from "../report/documents/write.js";
import type { Part } from "../run/parts/part.js";
import { createProgress, interruptible, printJson } from "../ui.js";
import { printSensitivity, sensitivityDocument } from "./printed/sensitivity.js";
import {
  forceOption,
  jsonOption,
  outputOption,
  partOption,
  repeatable,
  resumeOption,
  threadsOption,
  wholeNumber,
} from "./shared/options.js";
import { warnOfPartial } from "./shared/partial.js";
import { runPart } from "./shared/parts/part.js";
import { MODEL_ARGUMENT, openSource } from "./shared/source.js";
import { chunkBos, readTokens, warnOfContext } from "./shared/text.js";

interface SensitivityCommandOptions {
  readonly output: string;
  readonly imatrix?: string;
  readonly type?: readonly string[];
  readonly context: number;
  readonly chunks: number;
  readonly threads?: number;
  readonly force?: boolean;
  readonly resume?: boolean;
  readonly part?: Part;
  readonly json?: boolean;
}

export const sensitivityCommand = new Command("sensitivity")
  .summary(t`measure what rounding each tensor does to the output, for llq quantize --sensitivity`)
  .description(
    t`Round one tensor of a model at a time, run a text through it, and write down how far what it says moves
(Kullback-Leibler divergence, in f32). Only the blocks after the tensor are run again, so that all tensors
together take about half as many passes through the model as there are tensors.`,
  )
  .argument("<model>", MODEL_ARGUMENT)
  .argument("<text>", t`text file like what the model will be used on, or - for stdin`)
  .addOption(outputOption(t`JSON file to write`))
  .option("--imatrix <file>", t`importance matrix of the model, .gguf or .dat: the one to quantize with`)
  .addOption(
    repeatable(
      "-t, --type <name>",
      t`type to round to (default: ${DEFAULT_TYPES}); the others are in proportion`,
    ),
  )
  .option("-c, --context <n>", t`tokens in a chunk`, wholeNumber(2), DEFAULT_CONTEXT)
  .option("--chunks <n>", t`chunks to run, from all over the text`, wholeNumber(1), DEFAULT_CHUNKS)
  .addOption(threadsOption())
  .addOption(forceOption())
  .addOption(resumeOption())
  .addOption(partOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq sensitivity ./Llama-3.2-1B calibration.txt -o llama-1b.sensitivity.json
  llq sensitivity ./Llama-3.2-1B calibration.txt -o llama-1b.sensitivity.json --imatrix llama-1b.imatrix.gguf
  llq sensitivity ./Llama-3.2-1B calibration.txt -o out.json --type Q3_K --type Q5_K --chunks 4
  llq quantize ./Llama-3.2-1B -o out.gguf --fit 8GB --imatrix llama-1b.imatrix.gguf \\
    --sensitivity llama-1b.sensitivity.json`,
  )
  .action(async (path: string, text: string, options: SensitivityCommandOptions) => {
    const types = options.type?.map(findWritableType);
    const imatrix = options.imatrix === undefined ? undefined : openImatrix(options.imatrix);
    const model = await openSource(path, options);
    warnOfContext(model, options.context, t`beyond, its output is unusual`);
    const source = { model, text, tokens: readTokens(model, text) };
    const { part, output, context, chunks, threads, force, json } = options;
    if (part !== undefined) {
      const of = { context, chunks, bos: chunkBos(model), types, imatrix, threads, force };
      await runPart("sensitivity", t`roundings`, part, { json }, (watching) =>
        measureSensitivityPart(output, part, source, { ...of, ...watching }),
      );
      return;
    }
    warnOfPartial(output, options);
    const progress = createProgress("sensitivity", options.json);
    const written = await interruptible((signal) =>
      writeSensitivity(options.output, source, {
        context: options.context,
        chunks: options.chunks,
        bos: chunkBos(model),
        types,
        imatrix,
        threads: options.threads,
        force: options.force,
        resume: options.resume,
        signal,
        onProgress: (done, total) => progress.update(done, total),
      }),
    ).finally(() => progress.stop());
    if (options.json) printJson<typeof SENSITIVITY>(sensitivityDocument(path, written));
    else printSensitivity(written);
  });
