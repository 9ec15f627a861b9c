import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { findChromium, launch } from "../browser/chromium.js";
import { scratchFolder } from "../support/scratch.js";
import { type Site, serveFolder } from "./check/server.js";

const folder = scratchFolder();
const dist = join(folder, "dist");
let site: Site;
beforeAll(async () => {
  await build({ configFile: "web/vite.config.ts", logLevel: "silent", build: { outDir: dist } });
  site = await serveFolder(dist, false);
});
afterAll(() => site.stop());

it("is put together of files that any host serves, below any path", () => {
  const files = readdirSync(dist, { recursive: true, encoding: "utf8" });
  const html = readFileSync(join(dist, "index.html"), "utf8");
  const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
  expect(loaded.length).toBeGreaterThan(2);
  for (const path of loaded) {
    expect(path).toMatch(/^\.\//);
    expect(files).toContain(path.slice(2));
  }
  expect(html).toContain("default-src 'none'");
});

// As the issue wants it: where there is a Chromium, the page is tried in it; `npm run web:check` does all of it.
it.runIf(findChromium() !== undefined)("makes the file that Node makes", async () => {
  const sample = resolve("samples/tiny-llama");
  const out = join(folder, "tiny.gguf");
  await execute(planQuantize(openModel(sample), findRecipe("Q4_K_M")), out);
  const browser = await launch();
  try {
    const page = await browser.newPage({ locale: "en-US" });
    page.setDefaultTimeout(100_000);
    await page.goto(site.address);
    await page.setInputFiles("[data-input=folder]", sample);
    await page.waitForSelector("#file");
    await page.click("section:has(#file) button.main");
    await page.waitForSelector("#done");
    const sha256 = createHash("sha256").update(readFileSync(out)).digest("hex");
    expect(await page.textContent(".checksum code")).toBe(sha256);
  } finally {
    await browser.close();
  }
});
