import type { Command, Help } from "commander";
import { t } from "../../language/t.js";
import { textWidth, wrapText } from "../../language/width.js";

// What commander says itself, in the language that is spoken. Loaded for other languages than English only.

/** Titles and whole texts of commander. */
const TEXTS: Readonly<Record<string, () => string>> = {
  "Usage:": () => t`Usage:`,
  "Arguments:": () => t`Arguments:`,
  "Options:": () => t`Options:`,
  "Global Options:": () => t`Global Options:`,
  "Commands:": () => t`Commands:`,
  "display help for command": () => t`display help for command`,
  "output the version number": () => t`output the version number`,
};

const said = (text: string) => TEXTS[text]?.() ?? text;

type Found = readonly string[];

/** Messages of commander, as it words them, and what stands in them. */
const MESSAGES: readonly (readonly [RegExp, (found: Found) => string])[] = [
  [
    /^option '(.*?)' argument '(.*)' is invalid\. ?(.*)$/s,
    ([o, v, why]) => t`option '${o}' does not take '${v}'. ${choices(why!)}`,
  ],
  [
    /^command-argument value '(.*)' is invalid for argument '(.*?)'\. ?(.*)$/s,
    ([v, a, why]) => t`argument '${a}' does not take '${v}'. ${choices(why!)}`,
  ],
  [/^missing required argument '(.*)'$/, ([name]) => t`missing required argument '${name}'`],
  [/^option '(.*)' argument missing$/, ([flags]) => t`option '${flags}' argument missing`],
  [/^required option '(.*)' not specified$/, ([flags]) => t`required option '${flags}' not specified`],
  [
    /^option '(.*)' cannot be used with option '(.*)'$/,
    ([a, b]) => t`option '${a}' cannot be used with option '${b}'`,
  ],
  [/^unknown option '(.*?)'(?:\n(.*))?$/s, ([flag, or]) => t`unknown option '${flag}'${similar(or)}`],
  [/^unknown command '(.*?)'(?:\n(.*))?$/s, ([name, or]) => t`unknown command '${name}'${similar(or)}`],
  [
    /^too many arguments(?: for '(.*)')?\. Expected (\d+) arguments? but got (\d+)\.$/,
    ([name, expected, got]) =>
      t`too many arguments for '${name ?? "llq"}': ${expected} expected, ${got} given`,
  ],
];

function similar(text: string | undefined): string {
  const [, names] = /^\(Did you mean (?:one of )?(.*)\?\)$/.exec(text ?? "") ?? [];
  return names === undefined ? "" : `\n${t`(Did you mean ${names}?)`}`;
}

function choices(why: string): string {
  const [, names] = /^Allowed choices are (.*)\.$/.exec(why) ?? [];
  return names === undefined ? why : t`Allowed choices are ${names}.`;
}

/** A message of commander's, without "error: ", in the language that is spoken. */
export function localizedMessage(message: string): string {
  for (const [pattern, say] of MESSAGES) {
    const found = pattern.exec(message);
    if (found !== null) return say(found.slice(1));
  }
  return message;
}

/** What commander puts in brackets behind a description. */
function localizedExtras(text: string): string {
  return text
    .replace(
      / ?\(choices: ([^()]*?)(, default: ([^()]*))?\)$/,
      (_, names: string, also?: string, value?: string) =>
        also === undefined ? t`(choices: ${names})` : t`(choices: ${names}; default: ${value})`,
    )
    .replace(/ ?\(default: ([^()]*)\)$/, (_, value: string) => t`(default: ${value})`);
}

/** Has a program and the commands that inherit from it speak the language. */
export function localize(program: Command): void {
  const plain = program.createHelp();
  const help: Partial<Help> = {
    showGlobalOptions: true,
    styleTitle: said,
    displayWidth: textWidth,
    boxWrap: wrapText,
    optionDescription: (option) => localizedExtras(said(plain.optionDescription(option))),
    argumentDescription: (argument) => localizedExtras(said(plain.argumentDescription(argument))),
    subcommandDescription: (command) => said(plain.subcommandDescription(command)),
  };
  program.configureHelp(help).configureOutput({
    outputError: (text, write) => {
      const [, message = text] = /^error: (.*)\n$/s.exec(text) ?? [];
      write(message === text ? text : `${t`error: ${localizedMessage(message)}`}\n`);
    },
  });
}
