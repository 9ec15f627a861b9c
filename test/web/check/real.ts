import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Browser } from "playwright-core";

const SAMPLE = resolve("samples/tiny-llama");
const TEXT = readFileSync("samples/text.txt", "utf8").slice(0, 9000);

/** What Node makes of the sample, and measures. */
interface Expected {
  readonly sha256: string;
  readonly before: number;
  readonly after: number;
  readonly kld: number;
}

function llq(...words: readonly string[]): string {
  return execFileSync(process.execPath, ["dist/program/cli.js", ...words], { encoding: "utf8" });
}

function expected(): Expected {
  const folder = mkdtempSync(join(tmpdir(), "llq-web-real-"));
  const [out, text] = [join(folder, "tiny.gguf"), join(folder, "text.txt")];
  try {
    writeFileSync(text, TEXT);
    llq("quantize", SAMPLE, "--type", "Q4_K_M", "-o", out, "-q");
    const sha256 = createHash("sha256").update(readFileSync(out)).digest("hex");
    const words = [out, text, "--base-model", SAMPLE, "--context", "512", "--json", "-q"];
    const { perplexity, divergence } = JSON.parse(llq("eval-ppl", ...words)) as {
      perplexity: number;
      divergence: { basePpl: { value: number }; kld: { value: number } };
    };
    return { sha256, after: perplexity, before: divergence.basePpl.value, kld: divergence.kld.value };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The page with its own engine: the same file as Node's, verified, and the same perplexity; and what cannot be read. */
export async function checkReal(browser: Browser, isolated: string, plain: string): Promise<string[]> {
  const faults: string[] = [];
  const node = expected();
  const expect = (what: string, got: unknown, wanted: unknown) => {
    if (got !== wanted) faults.push(`${what}: ${got}, Node has ${wanted}`);
  };
  const context = await browser.newContext({ locale: "en-US", acceptDownloads: true });
  for (const address of [isolated, plain]) {
    const page = await context.newPage();
    page.setDefaultTimeout(240_000);
    page.on("pageerror", (error) => faults.push(`throws ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error") faults.push(`says ${message.text()}`);
    });
    // Without a picker, as Firefox and Safari are: the file comes as a download.
    await page.addInitScript(() => {
      Object.assign(window, { showSaveFilePicker: undefined });
    });
    await page.goto(address);
    await page.waitForSelector(".abilities");
    await page.setInputFiles("[data-input=files]", join(SAMPLE, "model.safetensors"));
    await page.waitForSelector(".problem");
    await page.setInputFiles("[data-input=folder]", SAMPLE);
    await page.waitForSelector("#file");
    await page.click("section:has(#file) button.main");
    await page.waitForSelector("#done");
    expect("sha256", await page.textContent(".checksum code"), node.sha256);
    const download = page.waitForEvent("download");
    await page.click("section:has(#done) button.main");
    const saved = createHash("sha256").update(readFileSync(await (await download).path()));
    expect("sha256 of the download", saved.digest("hex"), node.sha256);
    await page.click("section:has(#done) .head button:not(.main)");
    await page.waitForSelector(".said.good");
    if (address === isolated) {
      await page.fill("#text", TEXT);
      await page.click("section:has(#quality) button.main");
      await page.waitForSelector(".tiles");
      const values = await page.$$eval(".tiles data", (all) =>
        all.map((each) => Number((each as HTMLDataElement).value)),
      );
      expect("perplexity before", values[0], node.before);
      expect("perplexity after", values[1], node.after);
      // Chromium's Math.log and Math.exp are others than those of Node's V8, by the last bit.
      if (Math.abs(values[2]! / node.kld - 1) > 1e-12) expect("divergence", values[2], node.kld);
    } else {
      // A service worker adds the headers that the host does not send.
      await page.click("section:has(#quality) button");
      await page.waitForFunction(
        () => globalThis.crossOriginIsolated && document.querySelector("#hub") !== null,
      );
    }
    await page.close();
  }
  await context.close();
  return [...faults, ...(await checkRefused(browser, isolated))];
}

/** Another tab that writes the same file, and a browser that gives no room: said, and mended by trying again. */
async function checkRefused(browser: Browser, address: string): Promise<string[]> {
  const context = await browser.newContext({ locale: "en-US" });
  const other = await context.newPage();
  await other.goto(new URL("icon.svg", address).href); // of the same origin, and without the page's policy
  await other.evaluate(async () => {
    const text = `navigator.storage.getDirectory()
      .then((root) => root.getFileHandle("tiny-llama-Q4_K_M.gguf.partial", { create: true }))
      .then((handle) => handle.createSyncAccessHandle())
      .then((access) => { self.held = access; postMessage("held"); });`;
    const worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    Object.assign(window, { worker });
    await new Promise((done) => worker.addEventListener("message", done));
  });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const plan = async () => {
    await page.goto(address);
    await page.waitForSelector(".abilities");
    await page.setInputFiles("[data-input=folder]", SAMPLE);
    await page.waitForSelector("#file");
  };
  const faults: string[] = [];
  const make = "section:has(#file) button.main";
  await plan();
  await page.click(make);
  const said = await page.textContent(".problem h2");
  if (said !== "Another tab is writing this file") faults.push(`a second tab is told: ${said}`);
  await other.close();
  await page.click(".problem button.main");
  await page.waitForSelector("#done");
  // The tools' own way to give an origin less does nothing to what estimate() says.
  await page.addInitScript(() => {
    navigator.storage.estimate = async () => ({ quota: 3_000_000, usage: 2_000_000 });
  });
  await plan();
  const room = await page.textContent("#no-room");
  if (!/takes 2\.\d+ MB/.test(room ?? "") || !(await page.isDisabled(make)))
    faults.push(`without room: ${room}`);
  await context.close();
  return faults;
}
