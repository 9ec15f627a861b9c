// How wide text is on a terminal, where characters of Chinese take two columns.

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]/g;

/** Columns of a terminal that a text takes, which has no colours. */
export function textWidth(text: string): number {
  return text.length + (text.match(WIDE)?.length ?? 0);
}

/** A text filled up with spaces, at its end or at its start. */
export function padText(text: string, width: number, side: "end" | "start" = "end"): string {
  const space = " ".repeat(Math.max(0, width - textWidth(text)));
  return side === "end" ? text + space : space + text;
}

/** Closing marks, which begin no line, stay with what is before them; opening ones with what follows. */
const PIECE = /\s*(?:[（「“]*(?:[^\s\u2e80-\uff60]+|[\u2e80-\uff60])[，。；：、？！）」”…]*)/gu;

/** Breaks lines at spaces and between characters of Chinese, for so many columns. */
export function wrapText(text: string, width: number): string {
  const lines = text.split(/\r?\n/).flatMap((line) => {
    const wrapped: string[] = [];
    let current = "";
    for (const piece of line.match(PIECE) ?? []) {
      if (current !== "" && textWidth(current + piece) > width) {
        wrapped.push(current);
        current = piece.trimStart();
      } else current += piece;
    }
    return [...wrapped, current];
  });
  return lines.join("\n");
}

/** A text that takes no more columns: of a longer one its beginning and its end. */
export function cutText(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  const letters = [...text];
  const fits = (count: number) => {
    const tail = Math.floor((count + 1) / 4);
    return `${letters.slice(0, count - tail).join("")}…${tail > 0 ? letters.slice(-tail).join("") : ""}`;
  };
  for (let count = Math.min(letters.length, width) - 1; count > 0; count--) {
    if (textWidth(fits(count)) <= width) return fits(count);
  }
  return "…".slice(0, width);
}
