// Part of `npm run coverage`, behind vitest: names the files of which tests run fewer than 70 % of the lines or branches, and why
// that is so; ends with 1 when one of them has no reason.

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
  ["src/hub/fetch-headers.ts", "runs in child processes, which are not counted"],
  ["src/worker/", "runs in worker threads, which are not counted"],
];

const summary = JSON.parse(readFileSync("dist/coverage/coverage-summary.json", "utf8"));
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
