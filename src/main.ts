import { Command, CommanderError, Option } from "commander";
import { LlqError, systemErrorCode } from "../formats/errors.js";
import { checkInputs, rememberInputs } from "../formats/inputs.js";
import { COMMANDS } from "./commands/index.js";
import { generalOptions } from "./commands/shared/general.js";
import { visible } from "./escape.js";
import { LANGUAGES } from "./language/language.js";
import { spoken, t } from "./language/t.js";
import { VERSION } from "./version.js";

/** A command line that no command understands, which commander has said already. */
class ShownError extends LlqError {
  readonly shown = true;

  constructor(message: string, hint: string | undefined) {
    super("usage", message, { hint });
  }
}

const program = new Command("llq")
  .description(t`Convert, quantize and measure large language models, with nothing but npm.`)
  .version(VERSION)
  .addOption(
    new Option(
      "--lang <language>",
      t`language of help, messages and reports (default: that of the system)`,
    ).choices(LANGUAGES),
  )
  .showHelpAfterError(t`(llq <command> --help shows what it takes)`)
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    "after",
    t`
Exit status: 0 done, 1 a check failed, 2 usage, 3 bad input, 4 unsupported model,
5 out of disk or memory, 6 network, 70 a bug in llq, 71 the system refuses files or threads,
75 undecided, 130 interrupted, 143 terminated. With --json an error is JSON on stdout, too.`,
  );

/** The commands that these arguments may be about: one, none, or all of them where all are listed or guessed at. */
async function addCommands(args: readonly string[]): Promise<void> {
  if (spoken() !== undefined) (await import("./commands/shared/localized.js")).localize(program);
  const first = firstArgument(args);
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

/** Behind the program's own option, which may stand before the command. */
function firstArgument(args: readonly string[]): string {
  if (args[0] === "--lang") return args[2] ?? "";
  return (args[0]?.startsWith("--lang=") ? args[1] : args[0]) ?? "";
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
  const args = process.argv.slice(2);
  const hint = insteadOf(error, program.commands, args.slice(args.indexOf(firstArgument(args))));
  if (hint !== undefined) process.stderr.write(t` hint: ${visible(hint)}\n`);
  const message = error.message.replace(/^error: /, "");
  if (spoken() === undefined) return new ShownError(message, hint);
  return new ShownError((await import("./commands/shared/localized.js")).localizedMessage(message), hint);
}

/** What the command took, on stderr. */
function sayCost(): void {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const cpu = ((userCPUTime + systemCPUTime) / 1e6).toFixed(1);
  const peak = (maxRSS / 1024).toFixed(0);
  process.stderr.write(t`${process.uptime().toFixed(1)} s, ${cpu} s of CPU, at most ${peak} MiB of memory\n`);
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
    throw writeError(t`the result`, failure);
  };
}
