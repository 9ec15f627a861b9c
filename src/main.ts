import { Command, CommanderError } from "commander";
import { systemErrorCode } from "../formats/errors.js";
import { checkInputs, rememberInputs } from "../formats/inputs.js";
import { compareCommand } from "./commands/compare.js";
import { convertCommand } from "./commands/convert.js";
import { evalChoiceCommand } from "./commands/eval-choice.js";
import { evalPplCommand } from "./commands/eval-ppl.js";
import { fitCommand } from "./commands/fit.js";
import { createGenerateCommand } from "./commands/generate/command.js";
import { copyCommand } from "./commands/gguf/copy.js";
import { hashCommand } from "./commands/gguf/hash.js";
import { mergeCommand } from "./commands/gguf/merge.js";
import { metaCommand } from "./commands/gguf/meta.js";
import { splitCommand } from "./commands/gguf/split.js";
import { imatrixCommand } from "./commands/imatrix.js";
import { inspectCommand } from "./commands/inspect.js";
import { quantizeCommand } from "./commands/quantize.js";
import { sensitivityCommand } from "./commands/sensitivity.js";
import { verifyCommand } from "./commands/verify.js";
import { loadEngine } from "./generate/load-engine.js";
import { pairVectors } from "./kernels/products.js";
import { writeError } from "./run/write/encode.js";
import { VERSION } from "./version.js";

const USAGE = 2;

const program = new Command("llq")
  .description("Convert, quantize and measure large language models, with nothing but npm.")
  .version(VERSION)
  .showHelpAfterError("(llq <command> --help shows what it takes)")
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    "after",
    `
Exit status: 0 done, 1 a check failed, 2 usage, 3 bad input, 4 unsupported model,
5 out of disk or memory, 6 network, 70 a bug in llq, 71 the system refuses files or threads,
75 undecided, 130 interrupted.`,
  );

const generateCommand = createGenerateCommand(loadEngine);
for (const command of [
  convertCommand,
  quantizeCommand,
  imatrixCommand,
  sensitivityCommand,
  evalPplCommand,
  compareCommand,
  evalChoiceCommand,
  inspectCommand,
  fitCommand,
  verifyCommand,
  generateCommand,
  copyCommand,
  splitCommand,
  mergeCommand,
  metaCommand,
  hashCommand,
]) {
  program.addCommand(command.copyInheritedSettings(program));
}
for (const command of [imatrixCommand, sensitivityCommand, evalPplCommand, compareCommand, evalChoiceCommand])
  command.hook("preAction", () => pairVectors("evaluation"));
generateCommand.hook("preAction", () => pairVectors("generation"));
// commander's own exits (help, version, a wrong option) keep to the documented statuses
for (const command of [program, ...program.commands]) {
  command.exitOverride();
}

/** Runs the command of the command line. @throws LlqError, and Error for a bug */
export async function main(): Promise<void> {
  rememberInputs();
  const written = watchStdout();
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) process.exitCode = USAGE;
  }
  checkInputs();
  await written();
}

/**
 * Remembers a failed write of results, which the system tells of later. What is written when whoever reads has gone, as
 * `head` does, is lost and no failure.
 * @returns to be awaited when all is written: throws LlqError `no-space` if it was not
 */
function watchStdout(): () => Promise<void> {
  let failure: Error | undefined;
  process.stdout.on("error", (error) => {
    if (systemErrorCode(error) !== "EPIPE") failure ??= error;
  });
  process.stderr.on("error", () => {}); // nobody is left to tell
  return async () => {
    await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
    if (failure !== undefined) throw writeError("the result", failure);
  };
}
