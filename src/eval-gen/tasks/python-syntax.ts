/**
 * Whether Python code could be whole: strings are closed, brackets match, nothing waits for a block or a next line. This is
 * no parser: what it accepts may still be wrong, what it refuses was cut off or is none.
 */
export function looksComplete(code: string): boolean {
  const open: string[] = [];
  let isWaiting = false;
  let isContinued = false;
  for (let i = 0; i < code.length; ) {
    const character = code[i]!;
    if (character === "#") {
      i = endOf(code, "\n", i);
      continue;
    }
    const quote = /^("""|'''|"|')/.exec(code.slice(i, i + 3))?.[1];
    if (quote !== undefined) {
      const end = endOfString(code, i + quote.length, quote);
      if (end === undefined) return false;
      i = end;
      isWaiting = false;
      isContinued = false;
      continue;
    }
    if (OPENING.includes(character)) open.push(character);
    else if (CLOSING.includes(character) && open.pop() !== OPENING[CLOSING.indexOf(character)]) return false;
    if (/\S/.test(character)) {
      isWaiting = character === ":" && open.length === 0;
      isContinued = character === "\\";
    }
    i++;
  }
  return open.length === 0 && !isWaiting && !isContinued;
}

const OPENING = "([{";
const CLOSING = ")]}";

function endOf(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at < 0 ? text.length : at;
}

/** Behind the quote that ends a string; undefined where none does. */
function endOfString(code: string, from: number, quote: string): number | undefined {
  for (let i = from; i < code.length; i++) {
    if (code[i] === "\\") i++;
    else if (code.startsWith(quote, i)) return i + quote.length;
    else if (code[i] === "\n" && quote.length === 1) return undefined;
  }
  return undefined;
}
