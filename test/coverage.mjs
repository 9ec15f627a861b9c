// Part of `npm run coverage`, behind vitest: what tests run of each folder's lines and branches, and the files of which they run fewer
// than 70 %, with why that is so; ends with 1 when one of them has no reason.

import { readFileSync } from "node:fs";
import { relative } from "node:path";

const LEAST = 70;

/** Places of which the count says too little, and why. */
const REASONS = [
  ["src/cli.ts", "runs in child processes, which are not counted"],
  ["src/main.ts", "runs in child processes, which are not counted"],
  ["src/ui.ts", "runs in child processes, which are not counted"],
  ["src/commands/", "runs in child processes, which are not counted"],
  ["src/report/", "its pages are made by child processes, which are not counted"],
  ["src/program.ts", "runs in child processes, which are not counted"],
  ["src/installed.ts", "runs in child processes and bundles, which are not counted"],
  ["src/hub/fetch-headers.ts", "runs in child processes, which are not counted"],
  ["src/hub/whole-header.ts", "runs in child processes, which are not counted"],
  ["src/quant/copy.ts", "most of it runs in child processes, which are not counted"],
  ["src/run/parts/claim-part.ts", "runs in child processes, which are not counted"],
  ["src/run/write/memory.ts", "runs in child processes, which are not counted"],
  ["src/eval/imatrix/statistics.ts", "runs in child processes, which are not counted"],
  ["src/eval-gen/results.ts", "most of it runs in child processes, which are not counted"],
  ["src/net/team/exchange.ts", "runs in worker threads, which are not counted"],
  ["src/net/mixers/attention/cached.ts", "half of it runs in worker threads, which are not counted"],
  ["src/host/node/", "has a branch for each engine and system, of which there is one"],
  ["src/kernels/pairing.ts", "has a branch for each engine, of which there is one"],
  ["src/browser/", "runs in browsers: npm run browser"],
  ["src/host/browser/", "runs in browsers: npm run browser"],
  ["formats/torch/no-zip.ts", "runs in browsers: npm run browser"],
  ["src/worker/", "runs in worker threads, which are not counted"],
  ["src/version.ts", "has a branch for bundles, which are not counted"],
  ["src/kernels/products.ts", "has a branch for each engine, of which there is one"],
  ["src/kernels/searches.ts", "chooses in child processes, which are not counted: once a process"],
  [
    "src/arch/families/chatglm1.ts",
    "has a branch for what a GGUF of it lacks, and no other program writes one",
  ],
  ["src/arch/families/wrapped.ts", "hands what is no object on to the family that refuses it"],
  ["src/quant/split.ts", "has branches for one part alone, and those run in child processes"],
  ["src/quant/by-size/prices.ts", "refuses in child processes, which are not counted"],
  ["src/run/measure/compare.ts", "guards against what verify has refused before it"],
  ["src/run/measure/hash.ts", "half of it runs in child processes, which are not counted"],
  ["src/run/write/pieces.ts", "turns big-endian blocks in child processes, which are not counted"],
  ["src/eval/calibrate/scratch.ts", "is gone on from in child processes, which are not counted"],
  [
    "src/eval/calibrate/codes/grids.ts",
    "has a branch for types without grids, which its callers have left out",
  ],
  [
    "src/eval/imatrix/output-squares.ts",
    "has a branch for models with several hidden states, read in worker threads",
  ],
  ["src/net/mixers/index.ts", "guards against a plan that no family has"],
  ["src/net/mixers/kda.ts", "guards against a width that no family has"],
  ["src/net/mixers/side-by-side.ts", "guards against a plan that no family has"],
  ["src/hub/idle-timer.ts", "has a branch for a server that keeps its pace for longer than a test lasts"],
  ["web/src/", "runs in browsers: npm run web:check"],
];

const summary = JSON.parse(readFileSync("dist/coverage/coverage-summary.json", "utf8"));

/** @type {Map<string, { lines: { total: number, covered: number }, branches: { total: number, covered: number } }>} */
const folders = new Map();
for (const [path, counts] of Object.entries(summary)) {
  if (path === "total") continue;
  const [root, second] = relative(".", path).split("/");
  const folder = root === "src" && !second.endsWith(".ts") ? `src/${second}` : root;
  const sums = folders.get(folder) ?? { lines: { total: 0, covered: 0 }, branches: { total: 0, covered: 0 } };
  for (const kind of ["lines", "branches"]) {
    for (const each of ["total", "covered"]) sums[kind][each] += counts[kind][each];
  }
  folders.set(folder, sums);
}
const percent = ({ total, covered }) => `${total === 0 ? 100 : Math.round((100 * covered) / total)} %`;
console.log("| folder | lines | branches |\n| --- | --- | --- |");
for (const [folder, { lines, branches }] of [...folders].sort()) {
  console.log(`| ${folder} | ${percent(lines)} | ${percent(branches)} |`);
}

let unexplained = 0;
for (const [path, { lines, branches }] of Object.entries(summary)) {
  const least = Math.min(lines.pct, branches.pct);
  if (path === "total" || !(least < LEAST)) continue;
  const file = relative(".", path);
  const reason = REASONS.find(([place]) => file.startsWith(place))?.[1];
  if (reason === undefined) unexplained++;
  console.log(`${file}: ${lines.pct} % of lines, ${branches.pct} % of branches: ${reason ?? "NO REASON"}`);
}
process.exitCode = unexplained > 0 ? 1 : 0;
