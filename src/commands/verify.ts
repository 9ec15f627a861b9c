import { Command } from "commander";
import { LlqError } from "../../formats/errors.js";
import { verify } from "../run/measure/verify.js";
import { createProgress, interruptible, printJson, printLine } from "../ui.js";
import { jsonOption, threadsOption } from "./shared/options.js";
import { MODEL_ARGUMENT, openSource } from "./shared/source.js";

interface VerifyCommandOptions {
  readonly source: string;
  readonly threads?: number;
  readonly json?: boolean;
}

export const verifyCommand = new Command("verify")
  .summary("check a GGUF file against the model it was made from")
  .description(
    "Recompute every tensor from the source and compare: nothing missing or surplus, shapes, error no larger\n" +
      "than the type's, no NaN, nothing all zero. Exit status 1 and the tensors' names when something is wrong.",
  )
  .argument("<file>", `what to check: ${MODEL_ARGUMENT}`)
  .requiredOption("-s, --source <model>", `what it was made from: ${MODEL_ARGUMENT}`)
  .addOption(threadsOption())
  .addOption(jsonOption())
  .addHelpText("after", "\nExamples:\n  llq verify llama-1b-q4.gguf --source ./Llama-3.2-1B")
  .action(async (path: string, options: VerifyCommandOptions) => {
    const [file, source] = [await openSource(path, options), await openSource(options.source, options)];
    const progress = createProgress("verify", options.json);
    const onProgress = (done: number, total: number) => progress.update(done, total);
    const { threads } = options;
    const verdicts = await interruptible((signal) =>
      verify(file, source, { threads, onProgress, signal }),
    ).finally(() => progress.stop());
    const wrong = verdicts.filter(({ verdict }) => verdict === "wrong");
    const identical = verdicts.filter(({ verdict }) => verdict === "identical");
    if (options.json) printJson({ schema: 1, file: path, passed: wrong.length === 0, tensors: verdicts });
    else for (const { name, dtype, faults } of wrong) printLine(`${name} (${dtype}): ${faults.join("; ")}`);
    if (wrong.length > 0) {
      throw new LlqError("gate", `${path}: ${wrong.length} of ${verdicts.length} tensors are wrong`);
    }
    if (options.json) return;
    const close = verdicts.length - identical.length;
    printLine(
      `${path}: ${verdicts.length} tensors are right, ${identical.length} to the byte, ${close} within bounds`,
    );
  });
