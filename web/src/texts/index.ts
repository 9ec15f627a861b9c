import { type Formats, formats } from "../format.js";
import { en, type Texts } from "./en.js";
import { zh } from "./zh.js";

export type { Texts };

/** Everything about how a language is written. */
export interface Language {
  /** As in `lang` and as the engine is told. */
  readonly code: "en" | "zh";
  /** As the document says it. */
  readonly tag: string;
  /** What it calls itself. */
  readonly name: string;
  readonly texts: Texts;
  readonly formats: Formats;
}

/** A language is a row: its table of texts has every key of the English one, which the compiler checks. */
export const LANGUAGES: readonly Language[] = [
  {
    code: "en",
    tag: "en",
    name: "English",
    texts: en,
    formats: formats("en", {
      hours: (hours, minutes) => `${hours} h ${minutes} min`,
      minutes: (minutes, seconds) => (seconds === "" ? `${minutes} min` : `${minutes} min ${seconds} s`),
      seconds: (seconds) => `${seconds} s`,
    }),
  },
  {
    code: "zh",
    tag: "zh-CN",
    name: "中文",
    texts: zh,
    formats: formats("zh-CN", {
      hours: (hours, minutes) => `${hours} 小时 ${minutes} 分`,
      minutes: (minutes, seconds) => (seconds === "" ? `${minutes} 分钟` : `${minutes} 分 ${seconds} 秒`),
      seconds: (seconds) => `${seconds} 秒`,
    }),
  },
];

/** The first language that both the reader and the page know; English if there is none. */
export function preferred(wanted: readonly string[]): Language {
  for (const each of wanted) {
    const found = LANGUAGES.find(({ code }) => each.toLowerCase().split("-")[0] === code);
    if (found !== undefined) return found;
  }
  return LANGUAGES[0]!;
}
