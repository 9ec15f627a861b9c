import { t } from "../../language/t.js";
import { type Program, parse, type Token, tokenize } from "./jinja.js";

/** A variable that a template's program calls with the line it has come to. */
export const AT_LINE = "__at_line";

/** As transformers has it. */
const OPTIONS = { trim_blocks: true, lstrip_blocks: true };

/** A program that says where it is; or what is wrong with the template, and the line if it is known. */
export type Parsed =
  | { readonly program: Program }
  | { readonly error: string; readonly line: number | undefined };

/**
 * Parses a template. The package knows no lines: they are those of the tags, which are found in the text for
 * themselves and belong to the tokens that open tags, in order.
 */
export function parseTemplate(template: string): Parsed {
  const tags = findTags(template);
  let tokens: Token[];
  try {
    tokens = tokenize(template, OPTIONS);
  } catch (cause) {
    return { error: messageOf(cause), line: firstBad(template, tags)?.line };
  }
  const opened = tags.filter(({ kind }) => kind === "statement" || kind === "expression");
  const isKnown = opened.length === tokens.filter(isOpening).length;
  const lines = isKnown ? opened.map(({ line }) => line) : [];
  let reached = 0;
  try {
    const marked = withLines(tokens, lines);
    const watched = new Proxy(marked, {
      get(target, key, receiver) {
        const index = typeof key === "string" ? Number(key) : Number.NaN;
        if (index < target.length) reached = Math.max(reached, index);
        return Reflect.get(target, key, receiver);
      },
    });
    return { program: parse(watched) };
  } catch (cause) {
    const before = withLines(tokens, lines).slice(0, reached + 1);
    const line = before.findLast(
      ({ type }, i) => type === "NumericLiteral" && before[i - 2]?.value === AT_LINE,
    );
    const error = cause instanceof TypeError ? t`it ends too early` : messageOf(cause); // there is no token to look at
    return { error, line: line === undefined ? undefined : Number(line.value) };
  }
}

export function messageOf(error: unknown): string {
  if (error instanceof RangeError) return t`too deep, or too long`;
  return error instanceof Error ? error.message : String(error);
}

interface Tag {
  readonly kind: "statement" | "expression" | "comment" | "nothing";
  readonly line: number;
  /** Where the text behind it begins. */
  readonly end: number;
}

const STRING = String.raw`"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'`;
const TAG = new RegExp(
  `\\{#.*?#\\}|\\{%(?:${STRING}|[^"'])*?%\\}|\\{\\{(?:${STRING}|[^"'])*?\\}\\}|\\{[#%{]`,
  "gs",
);
/** What the package takes out before it looks for tags. */
const GENERATION = /^\{%-?\s*(?:end)?generation\s*-?%\}$/;

/** The tags of a template up to the first that does not end, if there is one. */
function findTags(template: string): Tag[] {
  const tags: Tag[] = [];
  let [line, counted] = [1, 0];
  for (const { 0: text, index } of template.matchAll(TAG)) {
    for (; counted < index; counted++) if (template[counted] === "\n") line++;
    const kind = text[1] === "%" ? "statement" : text[1] === "{" ? "expression" : "comment";
    tags.push({ kind: GENERATION.test(text) ? "nothing" : kind, line, end: index + text.length });
    if (text.length === 2) break;
  }
  return tags;
}

/** The first tag that is no tokens, which all of the text behind it shares; else the last. */
function firstBad(template: string, tags: readonly Tag[]): Tag | undefined {
  let [low, high] = [0, tags.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isTokens(template.slice(0, tags[middle]!.end))) low = middle + 1;
    else high = middle;
  }
  return tags[low];
}

function isTokens(text: string): boolean {
  try {
    tokenize(text, OPTIONS);
    return true;
  } catch {
    return false;
  }
}

function isOpening({ type }: Token): boolean {
  return type === "OpenStatement" || type === "OpenExpression";
}

/** In front of each tag another one that calls AT_LINE. It stands where text may stand, and adds none. */
function withLines(tokens: readonly Token[], lines: readonly number[]): Token[] {
  let tag = 0;
  return tokens.flatMap((token) => {
    const line = isOpening(token) ? lines[tag++] : undefined;
    if (line === undefined) return [token];
    const call: [string, string][] = [["{{", "OpenExpression"], [AT_LINE, "Identifier"], ["(", "OpenParen"], [String(line), "NumericLiteral"], [")", "CloseParen"], ["}}", "CloseExpression"]]; // biome-ignore format: one line
    return [...call.map(([value, type]) => ({ value, type })), token];
  });
}
