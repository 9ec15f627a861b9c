// docs/commands.md, made of what the commands themselves take (npm run readme).
import { fileURLToPath } from "node:url";
import type { Command, Option } from "commander";
import { COMMANDS } from "../src/commands/index.js";
import { generalOptions } from "../src/commands/shared/general.js";

/** From test/ and from dist/test/. */
const root = new URL(import.meta.url.includes("/dist/test/") ? "../.." : "..", import.meta.url);
export const COMMANDS_PAGE = fileURLToPath(new URL("docs/commands.md", `${root.href.replace(/\/?$/, "/")}`));

const cell = (text: string) => text.replace(/\s*\n\s*/g, " ").replaceAll("|", "\\|");

/** What an option may be and is unasked, where its description does not say so itself. */
function remarks({ argChoices = [], defaultValue, defaultValueDescription, negate }: Option): string {
  const parts = [
    ...(argChoices.length > 0 ? [`one of ${argChoices.join(", ")}`] : []),
    ...(defaultValue === undefined || negate
      ? []
      : [
          `default: ${defaultValueDescription ?? (typeof defaultValue === "string" ? defaultValue : JSON.stringify(defaultValue))}`,
        ]),
  ];
  return parts.length > 0 ? ` (${parts.join("; ")})` : "";
}

function optionRow(option: Option): string {
  return `| \`${cell(option.flags)}\` | ${cell(option.description)}${cell(remarks(option))} |`;
}

/** Options that may be given, those of every command aside. */
export function optionsOf(command: Command): Option[] {
  return command.options.filter((option) => !option.hidden);
}

function section(name: string, command: Command): string {
  const args = command.registeredArguments.map((argument) => {
    const dots = argument.variadic ? "..." : "";
    const own = argument.required ? `<${argument.name()}${dots}>` : `[${argument.name()}${dots}]`;
    return { own, row: `| \`${own}\` | ${cell(argument.description)} |` };
  });
  return [
    `## llq ${name}`,
    "",
    command.description(),
    "",
    `\`llq ${[name, ...args.map(({ own }) => own), "[options]"].join(" ")}\``,
    "",
    "| | |",
    "| --- | --- |",
    ...args.map(({ row }) => row),
    ...optionsOf(command).map(optionRow),
    "",
  ].join("\n");
}

export async function commandsPage(): Promise<string> {
  const sections = [];
  for (const [name, load] of Object.entries(COMMANDS)) sections.push(section(name, await load()));
  return `${[
    "# Commands and their options",
    "",
    "What `llq <command> --help` says, without the examples. Every command also takes:",
    "",
    "| | |",
    "| --- | --- |",
    ...generalOptions().map(optionRow),
    "| `-h, --help` | what the command takes, with examples |",
    "",
    "This page is made of the commands themselves (`npm run readme`).",
    "",
    ...sections,
  ]
    .join("\n")
    .trimEnd()}\n`;
}
