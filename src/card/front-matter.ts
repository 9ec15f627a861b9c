/** A value of a model card's front matter, as far as cards go: texts, lists of texts, and what is neither. */
export type CardValue = string | readonly string[];

/**
 * The YAML between the first line `---` of a README.md and the next, in the forms that model cards have: a key and a text,
 * or a key and a list of texts, below it or in brackets. Whatever else stands there is passed over.
 */
export function readFrontMatter(markdown: string): Map<string, CardValue> {
  const card = new Map<string, CardValue>();
  const lines = markdown.split(/\r?\n/);
  if (lines[0] !== "---") return card;
  const end = lines.indexOf("---", 1);
  let list: { readonly key: string; readonly items: string[] } | undefined;
  for (const line of lines.slice(1, end < 0 ? lines.length : end)) {
    const [, key, rest] = /^([A-Za-z_][\w-]*):(?:\s+(.*))?$/.exec(line) ?? [];
    const item = /^\s*-\s+(.*)$/.exec(line)?.[1];
    if (key !== undefined) {
      const text = withoutComment(rest ?? "");
      list = text === "" ? { key, items: [] } : undefined;
      const value = text.startsWith("[") ? inBrackets(text) : scalar(text);
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
