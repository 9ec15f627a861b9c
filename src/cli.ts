#!/usr/bin/env node
import { Command } from "commander";
import { EXIT_CODE, LlqError } from "../formats/errors.js";
import { compareCommand } from "./commands/compare.js";
import { convertCommand } from "./commands/convert.js";
import { evalChoiceCommand } from "./commands/eval-choice.js";
import { evalPplCommand } from "./commands/eval-ppl.js";
import { fitCommand } from "./commands/fit.js";
import { createGenerateCommand } from "./commands/generate/command.js";
import { imatrixCommand } from "./commands/imatrix.js";
import { inspectCommand } from "./commands/inspect.js";
import { quantizeCommand } from "./commands/quantize.js";
import { sensitivityCommand } from "./commands/sensitivity.js";
import { verifyCommand } from "./commands/verify.js";
import { loadEngine } from "./generate/load-engine.js";
import { pairVectors } from "./kernels/products.js";
import { VERSION } from "./version.js";

const USAGE = 2;
const BUG = 70;

const program = new Command("llq")
  .description("Convert, quantize and measure large language models, with nothing but npm.")
  .version(VERSION)
  .showHelpAfterError("(llq <command> --help shows what it takes)")
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    "after",
    `
Exit status: 0 done, 1 a check failed, 2 usage, 3 bad input, 4 unsupported model,
5 out of disk or memory, 6 network, 70 a bug in llq, 75 undecided, 130 interrupted.`,
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
]) {
  program.addCommand(command.copyInheritedSettings(program));
}
for (const command of [imatrixCommand, sensitivityCommand, evalPplCommand, compareCommand, evalChoiceCommand])
  command.hook("preAction", () => pairVectors("evaluation"));
generateCommand.hook("preAction", () => pairVectors("generation"));
// commander's own exits (help, version, a wrong option) keep to the documented statuses
for (const command of [program, ...program.commands]) {
  command.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : USAGE));
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof LlqError) {
    process.stderr.write(`error: ${error.message}\n`);
    if (error.hint !== undefined) process.stderr.write(` hint: ${error.hint}\n`);
    return EXIT_CODE[error.code];
  }
  process.stderr.write(
    `${error instanceof Error ? error.stack : error}\nThis is a bug in llq: please report it.\n`,
  );
  return BUG;
}
