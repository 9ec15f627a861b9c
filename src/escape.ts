/** Longest text that is shown of what may come from a file. */
const MAX_SHOWN = 4000;

/**
 * Text to be shown, not obeyed: control characters, line breaks, marks that turn the direction of writing and lone
 * surrogates as \\u{...}; of a long text its beginning and its end.
 */
export function visible(text: string, most = MAX_SHOWN): string {
  const tail = Math.floor(most / 4);
  const cut =
    text.length > most ? `${text.slice(0, most - tail - 1)}…${text.slice(text.length - tail)}` : text;
  return cut.replace(
    /[\p{Cc}\p{Cs}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/** One line of text as XML 1.0 and HTML may hold it; characters that XML may not hold at all become U+FFFD. */
export function escapeXml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return visible(text)
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"]/g, (character) => entities[character]!);
}

/** Names of files are text, whatever characters they have. */
export function escapeMarkdown(text: string): string {
  return visible(text.replace(/[\r\n]+/g, " ")).replace(/[\\`*_{}[\]<>()#|!~&]/g, "\\$&");
}
