import { byValue, type KnownCommand, quoted, type Value } from "./known.js";

/** A function for bash 3.2 and newer. bash takes `=` and `:` for words of their own. */
export function bashScript(commands: readonly KnownCommand[]): string {
  const names = commands.map(({ name }) => name);
  const values = commands.flatMap((command) =>
    byValue(command).map(([value, flags]) => {
      const cases = flags.map((flag) => quoted(`${command.name} ${flag}`)).join(" | ");
      return `    ${cases}) ${action(value)}; return ;;`;
    }),
  );
  const own = commands.map(({ name, options, argument }) => {
    const flags = options.flatMap((option) => option.flags).join(" ");
    return `    ${name}) if [[ $cur == -* ]]; then _llq_words ${quoted(flags)}; else ${action(argument)}; fi ;;`;
  });
  return `# llq in bash: eval "$(llq completion bash)"
_llq_words() {
  local list=\${cur%,*}
  if [[ $cur == *,* ]]; then
    COMPREPLY=($(compgen -P "$list," -W "$1" -- "\${cur##*,}"))
  else
    COMPREPLY=($(compgen -W "$1" -- "$cur"))
  fi
}
_llq_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$cur"))
}
_llq() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    _llq_words ${quoted([...names, "help", "--help", "--version"].join(" "))}
    return
  fi
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case "\${COMP_WORDS[1]} $prev" in
${values.join("\n")}
  esac
  case \${COMP_WORDS[1]} in
${own.join("\n")}
    help) _llq_words ${quoted(names.join(" "))} ;;
  esac
}
complete -F _llq llq
`;
}

function action(value: Value): string {
  if (value === "file") return "_llq_files";
  return value === "other" ? ":" : `_llq_words ${quoted(value.join(" "))}`;
}
