import { Argument, Command } from "commander";
import { t } from "../../language/t.js";
import { generalOptions } from "../shared/general.js";
import { bashScript } from "./bash.js";
import { fishScript } from "./fish.js";
import { type KnownCommand, knownCommand } from "./known.js";
import { zshScript } from "./zsh.js";

const SCRIPTS: Readonly<Record<string, (commands: readonly KnownCommand[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** @param table every command, by its name */
export function createCompletionCommand(table: Readonly<Record<string, () => Promise<Command>>>): Command {
  return new Command("completion")
    .summary(t`print what completes commands and options in a shell`)
    .description(t`Print a script that has a shell complete llq's commands, options, types and files.`)
    .addArgument(new Argument("<shell>", t`bash, zsh or fish`).choices(Object.keys(SCRIPTS)))
    .addHelpText(
      "after",
      `
${t`Examples:`}
  eval "$(llq completion bash)"                              # in ~/.bashrc
  llq completion zsh > "\${fpath[1]}/_llq"                    # before compinit
  llq completion fish > ~/.config/fish/completions/llq.fish`,
    )
    .action(async (shell: string) => {
      const commands: KnownCommand[] = [];
      for (const load of Object.values(table)) {
        const command = await load();
        const names = command.options.map(({ long }) => long);
        for (const option of generalOptions()) if (!names.includes(option.long)) command.addOption(option);
        commands.push(knownCommand(command));
      }
      process.stdout.write(SCRIPTS[shell]!(commands)); // a program, whose lines are not a terminal's to fear
    });
}
