import type { Page } from "playwright-core";

/**
 * What is wrong with how a page is laid out: it is wider than the screen, texts leave what they are in, things that can be
 * clicked cover each other or are too small for a finger.
 */
export function findFaults(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const faults: string[] = [];
    const name = (element: Element) =>
      `${element.tagName.toLowerCase()}.${element.className} "${(element.textContent ?? "").trim().slice(0, 40)}"`;
    const isSeen = (element: Element) => {
      const { width, height } = element.getBoundingClientRect();
      return (
        width > 1 &&
        height > 1 &&
        element.closest(".unseen") === null &&
        getComputedStyle(element.closest("thead") ?? element).clipPath === "none" &&
        element.checkVisibility()
      );
    };
    if (document.documentElement.scrollWidth > innerWidth) {
      faults.push(`the page is ${document.documentElement.scrollWidth} wide`);
    }
    for (const element of document.querySelectorAll("body *")) {
      if (!isSeen(element) || element.closest("svg, .scroll, textarea, .skip") !== null) continue;
      const box = element.getBoundingClientRect();
      if (box.right > innerWidth + 0.5 || box.left < -0.5) faults.push(`${name(element)} leaves the screen`);
      const style = getComputedStyle(element);
      const isText = [...element.childNodes].some(
        (node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim() !== "",
      );
      if (isText && element.scrollWidth > element.clientWidth + 1 && style.display !== "inline") {
        faults.push(`${name(element)} is cut off`);
      }
    }
    const targets = [...document.querySelectorAll("button, input, select, textarea, summary, a")].filter(
      (element) => isSeen(element) && element.closest(".languages, .skip") === null,
    );
    const boxes = targets.map((element) => element.getBoundingClientRect());
    targets.forEach((element, i) => {
      const box = boxes[i]!;
      const row = element.closest("label") ?? element;
      if (row.getBoundingClientRect().height < 24) faults.push(`${name(element)} is too small for a finger`);
      boxes.slice(0, i).forEach((other, j) => {
        const width = Math.min(box.right, other.right) - Math.max(box.left, other.left);
        const height = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
        if (width > 1 && height > 1) faults.push(`${name(element)} covers ${name(targets[j]!)}`);
      });
    });
    // Texts of one parent must not lie upon each other.
    const texts = [...document.querySelectorAll("strong, span, dt, dd, h1, h2, h3, p, code, th, td")].filter(
      (element) => isSeen(element) && element.children.length === 0 && element.textContent?.trim() !== "",
    );
    const textBoxes = texts.map((element) => {
      const range = document.createRange();
      range.selectNodeContents(element);
      return range.getBoundingClientRect();
    });
    texts.forEach((element, i) => {
      if (element.closest(".scroll") !== null) return;
      const box = textBoxes[i]!;
      textBoxes.slice(0, i).forEach((other, j) => {
        if (texts[j]!.closest(".scroll") !== null) return;
        const width = Math.min(box.right, other.right) - Math.max(box.left, other.left);
        const height = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
        if (width > 2 && height > 5) faults.push(`${name(element)} lies upon ${name(texts[j]!)}`);
      });
    });
    return faults;
  });
}

/** What axe-core finds, of which contrast and names are a part. */
export async function findBarriers(page: Page, axe: string): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await axe.run({
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 140)).join(" | ")}`,
    );
  });
}
