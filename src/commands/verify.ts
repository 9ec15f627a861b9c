import { Command } from "commander";
import { openImatrix } from "../../formats/imatrix/imatrix.js";
import { recompute } from "../eval/calibrate/recompute.js";
import { unknownImatrix } from "../eval/calibrate/text.js";
import { t } from "../language/t.js";
import type { Model } from "../model.js";
import { isCalibrated, type TensorVerdict, verify } from "../run/measure/verify.js";
import type { Part } from "../run/parts/part.js";
import { verifyPart } from "../run/parts/verify.js";
import { createProgress, interruptible } from "../ui.js";
import { printVerdicts } from "./printed/verdicts.js";
import { type CalibrateOptions, calibrateOptions, calibrationText, effortOf } from "./shared/calibrate.js";
import { jsonOption, maxMemoryOption, partOption, threadsOption, wholeNumber } from "./shared/options.js";
import { partName, partNameOption, refuseForPart, runPart } from "./shared/parts/part.js";
import { MODEL_ARGUMENT, openSource } from "./shared/source.js";

interface VerifyCommandOptions extends Omit<CalibrateOptions, "output"> {
  readonly source: string;
  readonly part?: Part;
  readonly output?: string;
}

export const verifyCommand = new Command("verify")
  .summary(t`check a GGUF file against the model it was made from`)
  .description(
    t`Recompute every tensor from the source and compare: nothing missing or surplus, shapes, error no larger
than the type's, no NaN, nothing all zero. Exit status 1 and the tensors' names when something is wrong.`,
  )
  .argument("<file>", t`what to check: ${MODEL_ARGUMENT}`)
  .requiredOption("-s, --source <model>", t`what it was made from: ${MODEL_ARGUMENT}`)
  .option("--imatrix <file>", t`with --calibrate: the importance matrix that chose the scales, if one did`)
  .option("--context <n>", t`with --calibrate: tokens in a chunk, if they were chosen`, wholeNumber(1))
  .addOption(maxMemoryOption())
  .addOption(threadsOption())
  .addOption(partOption())
  .addOption(partNameOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq verify llama-1b-q4.gguf --source ./Llama-3.2-1B
  llq verify llama-1b-q4.gguf --source ./Llama-3.2-1B --calibrate calibration.txt

${t`Of a file that was rounded with error feedback types, shapes and bounds are compared; with the text and the options that
it was made with, all of it is done again.`}`,
  )
  .action(async (path: string, options: VerifyCommandOptions) => {
    const { part, threads } = options;
    const isAgain = options.calibrate !== undefined;
    refuseForPart(part, { "--calibrate": isAgain });
    const name = partName(part, options.output);
    const [file, source] = [await openSource(path, options), await openSource(options.source, options)];
    if (part !== undefined) {
      await runPart("verify", t`tensors`, part, { json: options.json }, (watching) =>
        verifyPart(name, part, file, source, { threads, ...watching }),
      );
      return;
    }
    const progress = createProgress("verify", options.json);
    const onProgress = (done: number, total: number) => progress.update(done, total);
    const verdicts = await interruptible((signal) =>
      options.calibrate === undefined
        ? verify(file, source, { threads, onProgress, signal })
        : verifyAgain(file, source, options, { onProgress, signal }),
    ).finally(() => progress.stop());
    printVerdicts(path, verdicts, { json: options.json, isBoundOnly: isCalibrated(file) && !isAgain });
  });

for (const option of calibrateOptions()) verifyCommand.addOption(option);

async function verifyAgain(
  file: Model,
  source: Model,
  options: VerifyCommandOptions,
  watching: { readonly onProgress: (done: number, total: number) => void; readonly signal: AbortSignal },
): Promise<TensorVerdict[]> {
  const text = calibrationText(source, options)!;
  const { imatrix, threads, maxMemory, scratch: folder } = options;
  return recompute(file, source, text.chunks, {
    ...{ threads, maxMemory, folder, ...watching, effort: effortOf(options) },
    imatrix: imatrix === undefined ? unknownImatrix(source, text.file, 0) : openImatrix(imatrix),
    keepImportances: imatrix !== undefined,
  });
}
