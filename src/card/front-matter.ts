/** A value of a model card's front matter, as far as cards go: texts, lists of texts, and what is neither. */
export type CardValue = string | readonly string[];

/**
 * The YAML between the first line `---` of a README.md and the next, in the forms that model cards have: a key and a text,
 * in lines below it perhaps (`|`, `>`), or a key and a list of texts, below it or in brackets. Whatever else stands there is
 * passed over.
 */
export function readFrontMatter(markdown: string): Map<string, CardValue> {
  const card = new Map<string, CardValue>();
  const lines = markdown.split(/\r?\n/);
  if (lines[0] !== "---") return card;
  const end = lines.indexOf("---", 1);
  let list: { readonly key: string; readonly items: string[] } | undefined;
  const matter = lines.slice(1, end < 0 ? lines.length : end);
  for (const [i, line] of matter.entries()) {
    const [, key, rest] = /^([A-Za-z_][\w-]*):(?:\s+(.*))?$/.exec(line) ?? [];
    const item = /^\s*-\s+(.*)$/.exec(line)?.[1];
    if (key !== undefined) {
      const text = withoutComment(rest ?? "");
      list = text === "" ? { key, items: [] } : undefined;
      const isBlock = /^[|>][-+]?$/.test(text);
      const value = isBlock
        ? block(text, matter.slice(i + 1))
        : text.startsWith("[")
          ? inBrackets(text)
          : scalar(text);
      if (value !== undefined && text !== "") card.set(key, value);
    } else if (item !== undefined && list !== undefined) {
      const text = item === "no" ? item : scalar(withoutComment(item)); // Norwegian
      if (text === undefined) list = undefined;
      else {
        list.items.push(text);
        card.set(list.key, list.items);
      }
    } else if (line.trim() !== "" && !line.trim().startsWith("#")) list = undefined;
  }
  return card;
}

/**
 * The indented lines that `lines` begin with, as one text: with their breaks (`|`), or those between two lines that stand as far
 * in as the first as spaces (`>`). It ends with a break, unless `-` says otherwise; `+` keeps all.
 */
function block(sign: string, lines: readonly string[]): string {
  const end = lines.findIndex((line) => line.trim() !== "" && !line.startsWith(" "));
  const own = end < 0 ? lines : lines.slice(0, end);
  const indent = /^ */.exec(own.find((line) => line.trim() !== "") ?? "")![0].length;
  const kept = `${own.map((line) => line.slice(indent)).join("\n")}\n`;
  const text = sign.startsWith("|")
    ? kept
    : kept.replace(/^([^\n ][^\n]*)\n(?=[^\n ])/gm, "$1 ").replace(/^([^\n ][^\n]*)\n(?=\n+[^\n ])/gm, "$1");
  if (sign.endsWith("+")) return text;
  return text.replace(/\n+$/, sign.endsWith("-") ? "" : "\n");
}

function withoutComment(text: string): string {
  const quoted = /^(["']).*?\1/.exec(text)?.[0];
  return quoted ?? text.replace(/(^|\s)#.*$/, "").trim();
}

function inBrackets(text: string): string[] | undefined {
  if (!text.endsWith("]")) return undefined;
  const items = text
    .slice(1, -1)
    .split(",")
    .map((each) => scalar(each.trim()));
  return items.every((each) => each !== undefined)
    ? (items as string[]).filter((each) => each !== "")
    : undefined;
}

/** A text; undefined for maps, blocks of lines, and YAML's numbers, flags and nothing, which are no texts. */
function scalar(text: string): string | undefined {
  const quoted = /^(["'])(.*)\1$/s.exec(text)?.[2];
  if (quoted !== undefined) return quoted;
  if (/^[{[|>&*!%@`]/.test(text) || /:(\s|$)/.test(text)) return undefined;
  if (/^(~|null|true|false|yes|no|on|off|[-+]?[\d.][\d._]*(e[-+]?\d+)?)$/i.test(text)) return undefined;
  return text;
}
