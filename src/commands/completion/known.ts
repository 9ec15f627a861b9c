import type { Command, Option } from "commander";
import { DTYPES } from "../../../formats/dtype.js";
import { BITS, RECIPES } from "../../quant/recipes/recipes.js";

/** What may be typed for a value: one of these words, a file, or what nobody can guess. */
export type Value = readonly string[] | "file" | "other";

export interface KnownOption {
  /** `-t`, if there is one, and `--type`. */
  readonly flags: readonly string[];
  /** undefined when it takes none. */
  readonly value: Value | undefined;
  readonly description: string;
}

/** A command as shells are told of it. */
export interface KnownCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly KnownOption[];
  /** Of its arguments. */
  readonly argument: Value;
}

/** As commander has it, with the help's option. */
export function knownCommand(command: Command): KnownCommand {
  const options = command.createHelp().visibleOptions(command);
  return {
    name: command.name(),
    summary: command.summary(),
    options: options.map((option) => ({
      flags: [option.short, option.long].flatMap((flag) => flag ?? []),
      value: takenBy(option),
      description: option.description,
    })),
    argument:
      command.registeredArguments.find(({ argChoices }) => argChoices !== undefined)?.argChoices ?? "file",
  };
}

/** Names in `<...>` of values that are no files. */
const NO_FILE = /^(n|i\/n|x|k|size|memory|name|key|list|glob|.*=.*)$/;
/** Texts that are typed, where others are in files. */
const TYPED = ["--include-weights", "--exclude-weights", "--stop", "--system"];

function takenBy({ flags, long, required, optional, argChoices }: Option): Value | undefined {
  if (!required && !optional) return undefined;
  if (argChoices !== undefined) return argChoices;
  if (long === "--bits") return Object.keys(BITS);
  const name = /<(.*)>/.exec(flags)?.[1] ?? "";
  if (long === "--type" && name === "name") return RECIPES.map((recipe) => recipe.name);
  if (name === "type") return DTYPES.flatMap((row) => (row.kernels === "read" ? [] : row.name));
  if (long === "--lora") return "file";
  return NO_FILE.test(name) || TYPED.includes(long ?? "") ? "other" : "file";
}

/** The flags that take a value of this kind, by the value: shells need a case for each. */
export function byValue(command: KnownCommand): (readonly [Value, string[]])[] {
  const kinds = new Map<string, [Value, string[]]>();
  for (const { flags, value } of command.options) {
    if (value === undefined) continue;
    const kind = kinds.get(String(value)) ?? [value, []];
    kind[1].push(...flags);
    kinds.set(String(value), kind);
  }
  return [...kinds.values()];
}

/** A word or sentence that no shell looks into. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
