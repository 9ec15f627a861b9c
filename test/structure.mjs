// The order of the house: `node test/structure.mjs [folder]`, part of `npm run check`. Circles of imports are biome's to
// find (noImportCycles); here are the layers, and how much a folder and a file may hold.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";

/**
 * From the bottom up. A file imports what is in its own place or in a line above, at whatever depth; what shares a line does
 * not know each other.
 */
const LAYERS = [
  ["src/host"],
  ["src/language/t.ts", "src/language/language.ts", "src/language/width.ts"],
  ["assembly", "formats", "src/escape.ts", "src/expression.ts", "src/pcg32.ts"],
  ["src/installed.ts"],
  ["src/language/catalogue.ts", "src/version.ts"],
  ["src/role.ts"],
  ["src/tensor.ts"],
  ["src/kernels"],
  ["src/rows"],
  ["src/arch", "src/tokenizer"],
  ["src/card"],
  ["src/model.ts"],
  ["src/lora.ts", "src/outline.ts"],
  ["src/quant"],
  ["src/run"],
  ["src/net"],
  ["src/eval", "src/generate"],
  ["src/eval-gen"],
  ["src/worker", "src/hub"],
  ["src/browser"],
  ["src/ui.ts"],
  ["src/report"],
  ["src/commands"],
  ["src/main.ts", "src/index.ts"],
  ["src/program.ts"],
  ["src/cli.ts"],
  // The page: of llq itself it knows llq/browser alone, and only its engine does.
  ["web/src/engine/protocol.ts", "web/src/format.ts", "web/src/style", "web/src/file-system.d.ts", "samples"],
  ["web/src/engine", "web/src/texts"],
  ["web/src/state"],
  ["web/src/view"],
  ["web/src/main.tsx", "web/vite.config.ts"],
];

/**
 * What may use Node itself: commands and what serves them alone. The rest runs in browsers too, and asks `#host/*` (src/host)
 * for files, threads, bytes and the like.
 */
const FOR_NODE = [
  "src/host/node",
  "src/hub",
  "src/report",
  "src/commands",
  "src/eval-gen",
  "src/generate",
  "src/eval/calibrate/recompute.ts",
  "src/eval/calibrate/scratch.ts",
  "src/eval/imatrix/checkpoint.ts",
  "src/run/measure/hash.ts",
  "src/run/parts/part.ts",
  "src/ui.ts",
  "src/main.ts",
  "src/program.ts",
  "src/cli.ts",
  "web/vite.config.ts",
];

/** Node's modules and those of its globals that browsers have not. */
const OF_NODE =
  /"(node:[\w/]+|yauzl)"|\b(process\.\w|Buffer\b|setImmediate\b|__filename\b|__dirname\b|require\()/;
const COMMENTS = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm;

/** Source files that a folder holds itself. */
const MAX_FILES = 15;

/** Folders with a file for each of something, however many there are. */
const COLLECTIONS = ["src/arch/families", "src/rows/packed", "assembly/blocks/", "assembly/gemm/pack"];

/** Lines of a source file that is not written by a program. */
const MAX_LINES = 300;
const WRITTEN_BY_PROGRAM = /^\/\/ .* Written by .* do not edit\.$/m;

const ROOTS = ["assembly", "formats", "src", "web"];

/** As biome has them: `from "./a.js"`, `import "./a.js"`, `import("./a.js")`; AssemblyScript's without an ending. */
const IMPORT = /(?:\bfrom |^import |\bimport\()"(\.[^"]+)"/gm;

const root = process.argv[2] ?? ".";
const problems = [
  ...ROOTS.flatMap(sources).flatMap((file) => [...wrongImports(file), ...usesOfNode(file), ...tooLong(file)]),
  ...crowdedFolders(),
];
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

/** @param {string} folder */
function sources(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"));
}

/** @param {string} file */
function wrongImports(file) {
  const place = placeOf(file);
  if (place === undefined) {
    return [`${file} has no place: put its folder into a line of LAYERS in test/structure.mjs`];
  }
  return [...readFileSync(join(root, file), "utf8").matchAll(IMPORT)].flatMap(([, path]) => {
    const imported = posix.join(dirname(file), path).replace(/\.js$/, ".ts");
    const other = placeOf(imported);
    if (other !== undefined && (other.name === place.name || other.layer < place.layer)) return [];
    const why = other?.layer === place.layer ? "stands beside it" : "does not stand below it";
    const how = "move down what both need, or have it handed in from above (LAYERS in test/structure.mjs)";
    return [`${file} imports ${imported}, which ${why}: ${how}`];
  });
}

/** @param {string} file */
function usesOfNode(file) {
  if (file.startsWith("assembly/") || FOR_NODE.some((each) => file === each || file.startsWith(`${each}/`)))
    return [];
  const code = readFileSync(join(root, file), "utf8").replace(COMMENTS, "");
  const [use] = OF_NODE.exec(code) ?? [];
  if (use === undefined) return [];
  return [
    `${file} uses ${use}, which browsers have not: ask #host/*, or put it into FOR_NODE in test/structure.mjs`,
  ];
}

/** @param {string} file */
function tooLong(file) {
  const text = readFileSync(join(root, file), "utf8");
  const lines = text.split("\n").length - 1;
  if (lines <= MAX_LINES || WRITTEN_BY_PROGRAM.test(text)) return [];
  return [`${file} has ${lines} lines, more than ${MAX_LINES}: give each of its jobs a file`];
}

/** @param {string} file */
function placeOf(file) {
  for (const [layer, names] of LAYERS.entries()) {
    const name = names.find((each) => file === each || file.startsWith(`${each}/`));
    if (name !== undefined) return { layer, name };
  }
  return undefined;
}

function crowdedFolders() {
  const counts = new Map();
  for (const file of [...ROOTS, "test"].flatMap(sources)) {
    const folder = posix.dirname(file);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return [...counts]
    .filter(([folder, count]) => count > MAX_FILES && !COLLECTIONS.some((each) => folder.startsWith(each)))
    .map(([folder, count]) => `${folder} has ${count} files: give those that belong together a folder`);
}
