// usage: npm run browser [-- same|speed|large|refusals|size ...]
// llq/browser in a real Chromium, beside Node: the same bytes and digits, how fast, in how much memory, and what is refused.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Part } from "./check.js";
import { large } from "./large.js";
import { refusals } from "./refusals.js";
import { same } from "./same.js";
import { size } from "./size.js";
import { speed } from "./speed.js";

const PARTS: Readonly<Record<string, Part>> = { same, refusals, speed, large, size };

const folder = mkdtempSync(join(process.env["LLQ_SCRATCH"] ?? tmpdir(), "llq-browser-"));
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PARTS);
try {
  for (const name of names) {
    const own = join(folder, name);
    mkdirSync(own);
    for (const { what, holds, found } of await PARTS[name]!(own)) {
      console.log(`${holds ? "ok  " : "FAIL"} ${name}: ${what}: ${found}`);
      if (!holds) process.exitCode = 1;
    }
    rmSync(own, { recursive: true });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
