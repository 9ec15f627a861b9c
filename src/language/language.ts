export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

/**
 * What the command line asks for (`--lang zh`), else what the environment does, in the order of POSIX: LC_ALL, LC_MESSAGES,
 * LANG. Whether `--lang` names a language at all is for commander to say.
 * @param args the command line without the program
 */
export function wantedLanguage(args: readonly string[], env: NodeJS.ProcessEnv): Language {
  const wanted = askedLanguage(args) ?? (env["LC_ALL"] || env["LC_MESSAGES"] || env["LANG"] || "");
  return /^zh(?![a-z])/i.test(wanted) ? "zh" : "en";
}

function askedLanguage(args: readonly string[]): string | undefined {
  const end = args.indexOf("--");
  const options = end < 0 ? args : args.slice(0, end);
  const at = options.findLastIndex((option) => option === "--lang" || option.startsWith("--lang="));
  if (at < 0) return undefined;
  return options[at] === "--lang" ? options[at + 1] : options[at]!.slice("--lang=".length);
}
