import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findChromium } from "./chromium.js";

const ROOT = new URL("../..", import.meta.url).pathname;

test("what browsers get is there, and asks nothing of Node", () => {
  const own = join(ROOT, "dist/browser");
  expect(readdirSync(own).sort()).toEqual([
    "LICENSES.txt",
    "browser.js",
    "kernels.gz",
    "products.gz",
    "shared.js",
    "worker.js",
    "zh.gz",
  ]);
  for (const name of ["browser.js", "shared.js", "worker.js"]) {
    expect(readFileSync(join(own, name), "utf8")).not.toMatch(
      /["'`]node:|\bprocess\.(env|pid|version)|\bBuffer\.(from|alloc)/,
    );
  }
  expect(existsSync(join(ROOT, "dist/types/src/browser/index.d.ts"))).toBe(true);
});

const chromium = findChromium();

// The rest of test/browser is outside CI: npm run browser.
describe.skipIf(chromium === undefined)("in a real Chromium (skipped where none is on the PATH)", () => {
  test("the sample has Node's bytes and figures", () => {
    const scratch = mkdtempSync(join(tmpdir(), "llq-smoke-"));
    try {
      const { status, stdout, stderr } = spawnSync(process.execPath, ["dist/test/browser/index.js", "same"], {
        cwd: ROOT,
        encoding: "utf8",
        env: { ...process.env, LLQ_SCRATCH: scratch },
      });
      expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
});
