import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { Instrumenter } from "@stryker-mutator/instrumenter";
import type { Copy } from "./copy.js";

/** Of messages; keys and names are strings too, and the tests that go by them see more than a text that is gone. */
const EXCLUDED = ["StringLiteral"];

const ROOTS = ["formats", "src"];

interface Position {
  /** From 0. */
  readonly line: number;
  readonly column: number;
}

export interface Mutant {
  /** In the order of files and places, from 0. */
  readonly id: string;
  readonly file: string;
  /** For people. */
  readonly words: string;
}

/** All sources with every mutant in them, each behind a switch. */
export interface Instrumented {
  readonly mutants: readonly Mutant[];
  readonly files: ReadonlyMap<string, string>;
}

/**
 * What Stryker's instrumenter makes of the sources; kept, as it takes a while. Its mutants ask which of them is on, and here a
 * file says so: whoever runs the code reads it, be it a test, a worker thread or a child process, in a bundle or not. So
 * nothing is built for a mutant.
 */
export async function instrument(root: string): Promise<Instrumented> {
  const silent = () => {};
  const logger = { debug: silent, info: silent, warn: silent, isDebugEnabled: () => false };
  const names = ROOTS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .sort()
      .map((name) => join(folder, name).split(sep).join("/")),
  );
  const sources = names.map((name) => ({
    name,
    mutate: true,
    content: readFileSync(join(root, name), "utf8"),
  }));
  const key = createHash("sha256").update(JSON.stringify(sources)).digest("hex").slice(0, 16);
  const kept = join(root, `dist/mutate/instrumented-${key}.json`);
  if (existsSync(kept)) return revived(JSON.parse(readFileSync(kept, "utf8")));
  const options = { plugins: null, excludedMutations: EXCLUDED, ignorers: [], mutator: {} };
  const result = await new Instrumenter(logger as never).instrument(sources, options as never);
  const texts = new Map(sources.map(({ name, content }) => [name, content]));
  const mutants = result.mutants
    .filter(({ statusReason }) => statusReason === undefined) // those excluded come with a reason
    .map(({ id, fileName, mutatorName, replacement, location }) => {
      const text = texts.get(fileName)!;
      const from = offsetOf(text, location.start);
      const short = (part: string) => part.replace(/\s+/g, " ").slice(0, 80);
      const original = text.slice(from, offsetOf(text, location.end));
      const words = `${fileName}:${location.start.line + 1} ${mutatorName}: ${short(original)} → ${short(replacement)}`;
      return { id, file: fileName, words };
    });
  const plain = { mutants, files: result.files.map(({ name, content }) => ({ name, content })) };
  mkdirSync(dirname(kept), { recursive: true });
  writeFileSync(kept, JSON.stringify(plain));
  return revived(plain);
}

interface Kept {
  readonly mutants: readonly Mutant[];
  readonly files: readonly { readonly name: string; readonly content: string }[];
}

function revived({ mutants, files }: Kept): Instrumented {
  return { mutants, files: new Map(files.map(({ name, content }) => [name, content])) };
}

function offsetOf(text: string, { line, column }: Position): number {
  let at = 0;
  for (let i = 0; i < line; i++) at = text.indexOf("\n", at) + 1;
  return at + column;
}

/** Puts the instrumented sources into a copy, with switches that read its file, and bundles them. */
export function place({ files }: Instrumented, copy: Copy): void {
  const header = switches(join(copy.root, SWITCH));
  for (const [name, content] of files) copy.write(name, withHeader(name, content, header));
  copy.write(SWITCH, JSON.stringify({}));
  const { ok, printed } = copy.bundle();
  if (!ok) throw new Error(printed);
}

/** Says which mutant is on, and where it is to be written which were met: `{ active?: id, met?: file }`. */
export const SWITCH = "mutant.json";

/** Stryker's own read an environment variable, and count in memory what was met. */
function switches(file: string): string {
  return `const stryker_9fa48 = (globalThis.__mutants__ ??= (() => {
  const fs = process.getBuiltinModule("node:fs");
  const { active, met } = JSON.parse(fs.readFileSync(${JSON.stringify(file)}, "utf8"));
  if (met === undefined) return { active, meet() {} };
  const seen = new Set();
  let fd;
  const meet = (...ids) => {
    for (let i = 0; i < ids.length; i++) {
      if (seen.has(ids[i])) continue;
      seen.add(ids[i]);
      try {
        fd ??= fs.openSync(met, "a");
        fs.writeSync(fd, ids[i] + "\\n");
      } catch {} // by a user who may not write, or files that may not grow: others have met it, too
    }
  };
  return { active, meet };
})());
function stryMutAct_9fa48(id) {
  return id === stryker_9fa48.active;
}
function stryCov_9fa48(...ids) {
  stryker_9fa48.meet(...ids);
}
`;
}

function withHeader(name: string, content: string, header: string): string {
  const from = content.indexOf("function stryNS_9fa48()");
  if (from < 0) return content; // a file of types
  const last = content.indexOf("function stryMutAct_9fa48(id)", from);
  const to = content.indexOf("\n}\n", last);
  if (last < 0 || to < 0) throw new Error(`${name}: the instrumenter's header is another one`);
  return content.slice(0, from) + header + content.slice(to + 3);
}
