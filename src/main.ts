import { Command, CommanderError } from "commander";
import { LlqError, systemErrorCode } from "../formats/errors.js";
import { checkInputs, rememberInputs } from "../formats/inputs.js";
import { COMMANDS } from "./commands/index.js";
import { generalOptions } from "./commands/shared/general.js";
import { visible } from "./escape.js";
import { VERSION } from "./version.js";

/** A command line that no command understands, which commander has said already. */
class ShownError extends LlqError {
  readonly shown = true;

  constructor(message: string, hint: string | undefined) {
    super("usage", message, { hint });
  }
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
75 undecided, 130 interrupted, 143 terminated. With --json an error is JSON on stdout, too.`,
  );

/** The commands that these arguments may be about: one, none, or all of them where all are listed or guessed at. */
async function addCommands(args: readonly string[]): Promise<void> {
  const [first = ""] = args;
  const isVersion = args.length === 1 && (first === "--version" || first === "-V");
  const named = Object.hasOwn(COMMANDS, first) ? [COMMANDS[first]!] : Object.values(COMMANDS);
  for (const load of isVersion ? [] : named) {
    const command = await load();
    for (const option of generalOptions()) command.addOption(option);
    command.hook("preAction", async (_, action) => {
      if (action.opts()["quiet"]) (await import("./ui.js")).beQuiet();
    });
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
    if (error.exitCode !== 0) throw await shown(error);
  }
  checkInputs();
  await written();
  if (program.commands.some((command) => command.opts()["verbose"] === true)) sayCost();
}

/** Says what to type instead, too, which commander does not know. */
async function shown(error: CommanderError): Promise<ShownError> {
  const { insteadOf } = await import("./commands/shared/elsewhere.js");
  const hint = insteadOf(error, program.commands, process.argv.slice(2));
  if (hint !== undefined) process.stderr.write(` hint: ${visible(hint)}\n`);
  return new ShownError(error.message.replace(/^error: /, ""), hint);
}

/** What the command took, on stderr. */
function sayCost(): void {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const cpu = ((userCPUTime + systemCPUTime) / 1e6).toFixed(1);
  const peak = (maxRSS / 1024).toFixed(0);
  process.stderr.write(`${process.uptime().toFixed(1)} s, ${cpu} s of CPU, at most ${peak} MiB of memory\n`);
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
