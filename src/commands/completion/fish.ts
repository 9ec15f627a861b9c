import type { KnownCommand, KnownOption, Value } from "./known.js";

/** A file for ~/.config/fish/completions. */
export function fishScript(commands: readonly KnownCommand[]): string {
  const names = commands.map(
    ({ name, summary }) => `complete -c llq -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
  );
  const own = commands.flatMap(({ name, options, argument }) => {
    const seen = `complete -c llq -n ${quoted(`__fish_seen_subcommand_from ${name}`)}`;
    const words = typeof argument === "string" ? [] : [`${seen} -f -a ${quoted(argument.join(" "))}`];
    return [...words, ...options.map((option) => `${seen} ${optionLine(option)}`)];
  });
  return `${[...names, ...own].join("\n")}\n`;
}

function optionLine({ flags, value, description }: KnownOption): string {
  const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  return [...names, ...takes(value), `-d ${quoted(description)}`].join(" ");
}

function takes(value: Value | undefined): string[] {
  if (value === undefined) return [];
  if (value === "file") return ["-r", "-F"];
  return value === "other" ? ["-x"] : ["-x", "-a", quoted(value.join(" "))];
}

/** fish knows two escapes between single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
