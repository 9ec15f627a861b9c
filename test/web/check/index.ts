// `npm run web:check -- [folder] [states] [widths] [--all] [--picture]`: opens the built page in the system's Chromium and brings it into every
// state, in both languages, light and dark, at 390 and 1440 pixels. Fails where something covers something else or leaves the
// screen, where axe-core finds a barrier (contrast is one), where the page asks another host for anything, or throws. Leaves
// screenshots in the folder, to be looked at. Needs Chromium, so it is no part of CI.

import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Page } from "playwright-core";
import { launch } from "../../browser/chromium.js";
import { axeSource, bundleStandIn, type Manner, newContext, openPlayed } from "./browser.js";
import { findBarriers, findFaults } from "./look.js";
import { checkReal } from "./real.js";
import { serveFolder } from "./server.js";
import { STATES } from "./states.js";

const words = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const isAll = process.argv.includes("--all");
const folder = words[0] ?? mkdtempSync(join(tmpdir(), "llq-web-"));
const wanted = words[1]?.split(",");
/** Draws the picture of the READMEs anew. */
const isDrawn = process.argv.includes("--picture");
const widths = words[2]?.split(",").map(Number);
mkdirSync(folder, { recursive: true });

/** Every language, scheme and width with every other in four; with --all in eight. */
const MANNERS: readonly Manner[] = [
  { locale: "en-US", scheme: "light", width: 1440 },
  { locale: "zh-CN", scheme: "dark", width: 1440 },
  { locale: "en-US", scheme: "dark", width: 390 },
  { locale: "zh-CN", scheme: "light", width: 390 },
  ...(isAll
    ? ([
        { locale: "en-US", scheme: "dark", width: 1440 },
        { locale: "zh-CN", scheme: "light", width: 1440 },
        { locale: "en-US", scheme: "light", width: 390 },
        { locale: "zh-CN", scheme: "dark", width: 390 },
      ] as const)
    : []),
];

const dist = resolve("web/dist");
const sites = { isolated: await serveFolder(dist, true), plain: await serveFolder(dist, false) };
const worker = await bundleStandIn();
const axe = axeSource();
const browser = await launch();
let passed = 0;
let failed = 0;
for (const manner of MANNERS) {
  if (widths !== undefined && !widths.includes(manner.width)) continue;
  const context = await newContext(browser, manner);
  for (const { name, scenario = {}, isolated = true, reach } of STATES) {
    if (wanted !== undefined && !wanted.includes(name)) continue;
    const shown = `${name}-${manner.locale.slice(0, 2)}-${manner.scheme}-${manner.width}`;
    const faults: string[] = [];
    const { address } = isolated ? sites.isolated : sites.plain;
    const page = await openPlayed(context, address, worker(scenario), faults);
    try {
      await page.waitForSelector(".abilities");
      await reach(page);
      faults.push(...(await findFaults(page)), ...(await findBarriers(page, axe)));
    } catch (error) {
      faults.push(String(error));
    }
    if (name === "planned" && isDrawn && shown.endsWith("en-light-1440")) await drawPicture(page);
    await page.screenshot({ path: join(folder, `${shown}.png`), fullPage: true });
    await page.close();
    if (faults.length === 0) passed++;
    else failed++;
    for (const fault of faults) console.error(`${shown}: ${fault}`);
  }
  await context.close();
}
if (wanted === undefined || wanted.includes("real")) {
  const faults = await checkReal(browser, sites.isolated.address, sites.plain.address);
  if (faults.length === 0) passed++;
  else failed++;
  for (const fault of faults) console.error(`real: ${fault}`);
}
await browser.close();
sites.isolated.stop();
sites.plain.stop();
console.log(`screenshots in ${folder}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** What READMEs show: a device that not all files fit. */
async function drawPicture(page: Page): Promise<void> {
  await page.fill(".aim input", "1.6");
  await page.press(".aim input", "Tab");
  await page.waitForSelector(".choice.large");
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await page.screenshot({
    path: "docs/web.png",
    fullPage: true,
    clip: { x: 180, y: 0, width: 1080, height: 1130 },
  });
}
