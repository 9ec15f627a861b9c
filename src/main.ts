import { Command, CommanderError } from "commander";
import { systemErrorCode } from "../formats/errors.js";
import { checkInputs, rememberInputs } from "../formats/inputs.js";
import { VERSION } from "./version.js";

const USAGE = 2;

/** Each in a file of its own, of which a run needs one. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  convert: async () => (await import("./commands/convert.js")).convertCommand,
  quantize: async () => (await import("./commands/quantize.js")).quantizeCommand,
  imatrix: async () => paired((await import("./commands/imatrix.js")).imatrixCommand),
  sensitivity: async () => paired((await import("./commands/sensitivity.js")).sensitivityCommand),
  "eval-ppl": async () => paired((await import("./commands/eval-ppl.js")).evalPplCommand),
  compare: async () => paired((await import("./commands/compare.js")).compareCommand),
  "eval-choice": async () => paired((await import("./commands/eval-choice.js")).evalChoiceCommand),
  "eval-gen": async () => {
    const { createEvalGenCommand } = await import("./commands/eval-gen/command.js");
    const { loadEngine } = await import("./generate/load-engine.js");
    return paired(createEvalGenCommand(loadEngine), "generation");
  },
  inspect: async () => (await import("./commands/inspect.js")).inspectCommand,
  fit: async () => (await import("./commands/fit.js")).fitCommand,
  verify: async () => (await import("./commands/verify.js")).verifyCommand,
  generate: async () => {
    const { createGenerateCommand } = await import("./commands/generate/command.js");
    const { loadEngine } = await import("./generate/load-engine.js");
    return paired(createGenerateCommand(loadEngine), "generation");
  },
  copy: async () => (await import("./commands/gguf/copy.js")).copyCommand,
  split: async () => (await import("./commands/gguf/split.js")).splitCommand,
  merge: async () => (await import("./commands/gguf/merge.js")).mergeCommand,
  meta: async () => (await import("./commands/gguf/meta.js")).metaCommand,
  hash: async () => (await import("./commands/gguf/hash.js")).hashCommand,
};

/** The command, whose products are to be chosen for what it does. */
function paired(command: Command, work: "evaluation" | "generation" = "evaluation"): Command {
  return command.hook("preAction", async () => (await import("./kernels/products.js")).pairVectors(work));
}

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

/** The commands that these arguments may be about: one, none, or all of them where all are listed or guessed at. */
async function addCommands(args: readonly string[]): Promise<void> {
  const [first = ""] = args;
  const isVersion = args.length === 1 && (first === "--version" || first === "-V");
  const named = Object.hasOwn(COMMANDS, first) ? [COMMANDS[first]!] : Object.values(COMMANDS);
  for (const load of isVersion ? [] : named) {
    const command = await load();
    program.addCommand(command.copyInheritedSettings(program));
  }
  // commander's own exits (help, version, a wrong option) keep to the documented statuses
  for (const command of [program, ...program.commands]) {
    command.exitOverride();
  }
}

/** Runs the command of the command line. @throws LlqError, and Error for a bug */
export async function main(): Promise<void> {
  rememberInputs();
  const written = watchStdout();
  try {
    await addCommands(process.argv.slice(2));
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
    if (failure === undefined) return;
    const { writeError } = await import("./run/write/encode.js");
    throw writeError("the result", failure);
  };
}
