// Sentences for people and their translations: finds every t`...` of the sources, says what catalogues in src/language lack,
// and writes each as one file to dist/, by fingerprint. `node release/messages.mjs [--check]`; a test and `npm run check` do too.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { parseAst } from "rolldown/parseAst";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Languages beside English. */
export const LANGUAGES = ["zh"];

/** Modules that are loaded when the language is known, so that what they say at once is in it. */
const LOADED_LATE = /^src\/(commands\/|main\.ts$)/;

/** Functions whose texts people read, and the arguments that are these. */
const SPEAKERS = [
  [/^LlqError$/, [1]],
  [/^badInput$/, [0, 1]],
  [/^(Option|repeatable)$/, [1]],
  [/\.(summary|description)$/, [0]],
  [/\.(argument|option|requiredOption|addHelpText)$/, [1]],
  [/^(warn|printLine|createProgress|refuse|outputOption|InvalidArgumentError)$/, [0, 1]],
];

/** @param {string} folder */
function filesIn(folder, ending) {
  return readdirSync(join(ROOT, folder), { recursive: true })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name.split(sep).join("/")}`)
    .sort();
}

/** Which catalogue a source's sentences belong to: src/language/<language>/<name>.json. */
function catalogueOf(file) {
  const [, top, inner] = file.split("/");
  if (file.startsWith("formats/")) return "formats";
  if (file.startsWith("src/arch/families/")) return "families";
  if (file.startsWith("src/rows/packed/")) return "packed";
  if (top === "commands") return inner === "shared" ? "shared" : "commands";
  return top.endsWith(".ts") ? "program" : top;
}

/** Every node with those around it. */
function* walk(node, around = []) {
  yield [node, around];
  for (const [name, value] of Object.entries(node)) {
    if (name === "parent") continue;
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each?.type === "string") yield* walk(each, [...around, node]);
    }
  }
}

const isFunction = ({ type }) => /Function/.test(type);

/** Words of a language, not only signs, names and values. */
const hasWords = (text) => /(^|\s)[A-Za-z]?[a-z]{2,}[,.:;]?\s+[A-Za-z(]/.test(text);

/** What a file says, and what is wrong with how it says so. */
function readSource(file) {
  const source = readFileSync(join(ROOT, file), "utf8");
  const sentences = [];
  const problems = [];
  const at = ({ start }) => `${file}:${source.slice(0, start).split("\n").length}`;
  for (const [node, around] of walk(parseAst(source, { lang: "ts" }))) {
    if (node.type === "TaggedTemplateExpression" && node.tag.name === "t") {
      const texts = node.quasi.quasis.map(({ value }) => value.cooked);
      sentences.push({ key: texts.reduce((text, next, i) => `${text}{${i - 1}}${next}`), file, at: at(node) });
      if (!around.some(isFunction) && !LOADED_LATE.test(file)) {
        problems.push(`${at(node)}: t\`...\` outside of a function is said before the language is known`);
      }
    }
    if (node.type !== "CallExpression" && node.type !== "NewExpression") continue;
    const called = source.slice(node.callee.start, node.callee.end);
    const [, places = []] = SPEAKERS.find(([name]) => name.test(called)) ?? [];
    for (const place of places) {
      const text = node.arguments[place];
      const isBare = text?.type === "TemplateLiteral" || typeof text?.value === "string";
      const whole = isBare ? source.slice(text.start + 1, text.end - 1).replace(/\$\{[^}]*\}/g, "{}") : "";
      const raw = whole.replace(/^ {2}.*$/gm, ""); // examples are indented
      const isRead = /^Option$|\.(summary|description|argument|option|requiredOption)$/.test(called);
      if (isRead ? /[a-z]{2}/.test(raw) : hasWords(raw)) problems.push(`${at(text)}: people read this, so write t\`${raw}\``);
    }
  }
  return { sentences, problems };
}

/** @returns {Map<string, {file: string, at: string}>} by key, where it is said first; and problems */
export function readSources() {
  const read = [...filesIn("formats", ".ts"), ...filesIn("src", ".ts")].map(readSource);
  const said = new Map();
  for (const { sentences } of read) {
    for (const { key, ...place } of sentences) if (!said.has(key)) said.set(key, place);
  }
  return { said, problems: read.flatMap(({ problems }) => problems) };
}

/** A language's catalogues, as {file, key, text}. */
export function readCatalogue(language) {
  return filesIn(`src/language/${language}`, ".json").flatMap((file) =>
    Object.entries(JSON.parse(readFileSync(join(ROOT, file), "utf8"))).map(([key, text]) => ({ file, key, text })),
  );
}

const placeholders = (text) => [...new Set(text.match(/\{\d+\}/g))].sort().join(" ");

/** What is wrong with a language's catalogues, each as what to do. */
export function problemsOf(language, said) {
  const problems = [];
  const known = new Map();
  for (const { file, key, text } of readCatalogue(language)) {
    const quoted = JSON.stringify(key);
    if (known.has(key)) problems.push(`${file}: ${quoted} is in ${known.get(key)} too: leave one`);
    known.set(key, file);
    if (!said.has(key)) problems.push(`${file}: no source says ${quoted}: remove it, or correct the English`);
    else if (placeholders(text) !== placeholders(key)) {
      problems.push(`${file}: ${quoted} needs ${placeholders(key) || "no values"} in ${JSON.stringify(text)}`);
    } else if (key.startsWith("{0}: ") && !text.startsWith("{0}: ")) {
      problems.push(`${file}: ${quoted} begins with a file, by ": " behind which programs find it: so must ${JSON.stringify(text)}`);
    }
  }
  for (const [key, { file, at }] of said) {
    if (known.has(key)) continue;
    const where = `src/language/${language}/${catalogueOf(file)}.json`;
    problems.push(`${at}: not in ${language}: add to ${where} the line ${JSON.stringify(key)}: "..."`);
  }
  return problems;
}

/** FNV-1a, as src/language/t.ts has it. */
export function fingerprint(key) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(36);
}

/** Writes a language for the program. */
function compile(language) {
  const texts = {};
  for (const { key, text } of readCatalogue(language)) {
    const name = fingerprint(key);
    if (name in texts) throw new Error(`two sentences have the fingerprint ${name}: word one otherwise: ${key}`);
    if (text !== key) texts[name] = text;
  }
  const path = join(ROOT, `dist/browser/${language}.gz`); // the program reads it too
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, gzipSync(JSON.stringify(texts), { level: 9 }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === "--check") {
    const { said, problems } = readSources();
    const all = [...problems, ...LANGUAGES.flatMap((language) => problemsOf(language, said))];
    for (const problem of all) console.error(problem);
    process.exitCode = all.length > 0 ? 1 : 0;
  } else LANGUAGES.forEach(compile);
}
