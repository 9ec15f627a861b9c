import type { Page } from "playwright-core";
import type { Problem } from "../../../web/src/engine/protocol.js";
import type { Scenario } from "./stand-in.js";

/** A state of the page: what the engine does, and how to get there from the empty page. */
export interface Shown {
  readonly name: string;
  readonly scenario?: Scenario;
  readonly isolated?: boolean;
  readonly reach: (page: Page) => Promise<unknown>;
}

const MODEL = [
  { name: "config.json", mimeType: "application/json", buffer: Buffer.from("{}") },
  { name: "model.safetensors", mimeType: "application/octet-stream", buffer: Buffer.from("weights") },
];

export const drop = (page: Page) => page.setInputFiles("[data-input=files]", MODEL);

const planned = async (page: Page) => {
  await drop(page);
  await page.waitForSelector("#file");
};

const make = async (page: Page) => {
  await planned(page);
  await page.click("section:has(#file) button.main");
};

export const done = async (page: Page) => {
  await make(page);
  await page.waitForSelector("#done");
};

const drag = (page: Page) =>
  page.evaluate(() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["{}"], "config.json"));
    window.dispatchEvent(new DragEvent("dragover", { dataTransfer, cancelable: true }));
  });

const measured = async (page: Page) => {
  await done(page);
  await page.fill("#text", "The lighthouse was built in three summers. ".repeat(60));
  await page.click("section:has(#quality) button.main");
};

const PROBLEMS: Readonly<Record<string, Problem>> = {
  broken: {
    kind: "bad-input",
    message: "tiny/model-00002-of-00003.safetensors: the index names it, and it is not there",
    hint: "take the whole folder, with every file that model.safetensors.index.json names",
  },
  unsupported: {
    kind: "unsupported",
    message: "tiny/config.json: architecture WhisperForConditionalGeneration is not supported",
    hint: "language models that generate text can be converted; llq convert --help lists them",
  },
  network: {
    kind: "network",
    message: "https://huggingface.co/api/models/meta-llama/Llama-3.2-1B: access is refused (status 403)",
    hint: "ask for access on the model's page, and give a token that may read it",
  },
};

const LATER: Readonly<Record<string, Problem>> = {
  quota: {
    kind: "quota",
    message: "Llama-3.2-1B-Q4_K_M.gguf: the browser's storage is full",
    needed: 807_690_000,
    available: 214_000_000,
  },
  "second-tab": {
    kind: "busy",
    message: "Llama-3.2-1B-Q4_K_M.gguf: another tab writes it",
  },
  crashed: { kind: "crashed", message: "" },
};

/** Presses Tab until something has the focus; whatever had it on the way must show so. */
async function tabTo(page: Page, wanted: string): Promise<void> {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press("Tab");
    const focus = await page.evaluate((selector) => {
      const element = document.activeElement as HTMLElement;
      const around = [element, element.nextElementSibling, element.closest("label")];
      const isShown = around.some((each) => each !== null && getComputedStyle(each).outlineStyle !== "none");
      return { isThere: element.matches(selector), isShown, name: element.outerHTML.slice(0, 80) };
    }, wanted);
    if (!focus.isShown) throw new Error(`nothing shows that ${focus.name} has the focus`);
    if (focus.isThere) return;
  }
  throw new Error(`${wanted} cannot be reached by keyboard`);
}

/** All the way by keyboard alone. */
async function byKeyboard(page: Page): Promise<void> {
  const chooser = page.waitForEvent("filechooser"); // early: the browser has to be told to leave the dialog to us
  await tabTo(page, ".drop button:not(.main)");
  await page.keyboard.press("Enter");
  await (await chooser).setFiles(MODEL);
  await page.waitForSelector("#model:focus");
  await tabTo(page, "[name=recipe-bits]");
  await page.keyboard.press("ArrowDown");
  await page.waitForFunction(() => document.querySelector(".sizes .note")?.textContent?.startsWith("Q5_K_M"));
  await tabTo(page, "section:has(#file) button.main");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#done:focus");
  await tabTo(page, "section:has(#done) button.main");
}

/** Every state that the page has. */
export const STATES: readonly Shown[] = [
  { name: "empty", reach: async () => {} },
  { name: "drag-over", reach: drag },
  {
    name: "wrong-name",
    reach: async (page) => {
      await page.fill("#hub", "not a model");
      await page.click("form.hub button");
      await page.click("form.hub summary");
    },
  },
  { name: "reading", scenario: { held: { open: 0.4 } }, reach: drop },
  { name: "planned", reach: planned },
  {
    name: "planned-hub",
    reach: async (page) => {
      await page.fill("#hub", "meta-llama/Llama-3.2-1B");
      await page.press("#hub", "Enter");
      await page.waitForSelector("#file");
    },
  },
  {
    name: "too-small-device",
    reach: async (page) => {
      await planned(page);
      await page.fill(".aim input", "1");
      await page.press(".aim input", "Tab");
      await page.waitForSelector(".choice.large");
      for (const summary of await page.locator("summary").all()) await summary.click();
    },
  },
  {
    name: "running",
    scenario: { held: { quantize: 0.43 } },
    reach: async (page) => {
      await make(page);
      await page.waitForFunction(() =>
        /4\d/.test(document.querySelector(".work .figure")?.textContent ?? ""),
      );
      await page.waitForTimeout(300);
    },
  },
  {
    name: "cancelled",
    scenario: { held: { quantize: 0.43 } },
    reach: async (page) => {
      await make(page);
      await page.click(".work button");
      await page.waitForSelector(".said");
    },
  },
  { name: "done", reach: done },
  { name: "by-keyboard", reach: byKeyboard },
  {
    name: "verified",
    reach: async (page) => {
      await done(page);
      await page.click("section:has(#done) .head button:not(.main)");
      await page.waitForSelector(".said.good");
    },
  },
  {
    name: "verified-wrong",
    scenario: { wrong: true },
    reach: async (page) => {
      await done(page);
      await page.click("section:has(#done) .head button:not(.main)");
      await page.waitForSelector(".wrong");
    },
  },
  {
    name: "saved",
    reach: async (page) => {
      await done(page);
      await page.click("section:has(#done) button.main");
      await page.waitForFunction(() => document.querySelector("[role=status]")?.textContent !== "");
    },
  },
  {
    name: "measuring",
    scenario: { held: { measure: 0.5 } },
    reach: async (page) => {
      await measured(page);
      await page.waitForSelector(".work");
      await page.waitForTimeout(2700);
    },
  },
  {
    name: "measured",
    reach: async (page) => {
      await measured(page);
      await page.waitForSelector(".tiles");
    },
  },
  {
    name: "text-too-short",
    reach: async (page) => {
      await done(page);
      await page.fill("#text", "Short.");
      await page.click("section:has(#quality) button.main");
      await page.waitForSelector("#text-short");
    },
  },
  { name: "not-isolated", isolated: false, reach: done },
  ...Object.entries(PROBLEMS).map(([name, problem]) => ({
    name: `problem-${name}`,
    scenario: { problems: { open: problem } },
    reach: async (page: Page) => {
      await drop(page);
      await page.waitForSelector(".problem");
    },
  })),
  ...Object.entries(LATER).map(([name, problem]) => ({
    name: `problem-${name}`,
    scenario: { problems: { quantize: problem } },
    reach: async (page: Page) => {
      await make(page);
      await page.waitForSelector(".problem");
    },
  })),
];
