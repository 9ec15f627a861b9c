import { byValue, type KnownCommand, quoted, type Value } from "./known.js";

/** A file for a folder of $fpath; it may be evaluated too, after compinit. */
export function zshScript(commands: readonly KnownCommand[]): string {
  const names = commands.map(({ name, summary }) => `    ${described(name, summary)}`);
  const values = commands.flatMap((command) =>
    byValue(command).map(([value, flags]) => {
      const cases = flags.map((flag) => quoted(`${command.name} ${flag}`)).join(" | ");
      return `    ${cases}) ${action(value)}; return ;;`;
    }),
  );
  const own = commands.map(({ name, options, argument }) => {
    const lines = options.flatMap(({ flags, description }) =>
      flags.map((flag) => `        ${described(flag, description)}`),
    );
    return `    ${name})
      if [[ $PREFIX != -* ]]; then ${action(argument)}; return; fi
      options=(
${lines.join("\n")}
      ) ;;`;
  });
  return `#compdef llq
_llq() {
  local -a commands options
  commands=(
${names.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe -t commands command commands
    return
  fi
  case "$words[2] $words[CURRENT-1]" in
${values.join("\n")}
  esac
  case $words[2] in
${own.join("\n")}
    help) _describe -t commands command commands; return ;;
    *) return 1 ;;
  esac
  _describe -o -t options option options
}
if [[ $funcstack[1] == _llq ]]; then _llq "$@"; else compdef _llq llq; fi
`;
}

function described(word: string, description: string): string {
  return quoted(`${word}:${description.replaceAll("\\", "\\\\").replaceAll(":", "\\:")}`);
}

function action(value: Value): string {
  if (value === "file") return "_files";
  return value === "other" ? ":" : `compadd -- ${value.map(quoted).join(" ")}`;
}
