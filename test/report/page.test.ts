import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { useLanguage } from "../../src/language/catalogue.js";
import { LANGUAGES } from "../../src/language/language.js";
import { WIDTH } from "../../src/report/html/chart.js";
import { comparisonPage } from "../../src/report/html/page.js";
import { type Box, overlap, placeLabels, textBox } from "../../src/report/html/place-labels.js";
import { Random } from "../support/random.js";
import { file, reportOf, someFiles } from "./comparisons.js";

interface Text {
  readonly text: string;
  readonly box: Box;
}

/** What each chart of a page writes where. */
function textsOf(page: string): { height: number; texts: Text[] }[] {
  return [...page.matchAll(/<svg viewBox="0 0 380 (\d+)"[\s\S]*?<\/svg>/g)].map(([svg, height]) => ({
    height: Number(height),
    texts: [...svg.matchAll(/<text([^>]*)>([^<]*)<\/text>/g)].map(([, attributes, escaped]) => {
      const value = (name: string) => new RegExp(` ${name}="([^"]*)"`).exec(attributes!)?.[1];
      const anchor = (value("text-anchor") ?? "start") as "start" | "middle" | "end";
      const text = escaped!.replaceAll("&amp;", "&");
      return { text, box: textBox({ x: Number(value("x")), y: Number(value("y")), anchor }, text) };
    }),
  }));
}

afterEach(() => useLanguage("en"));

describe.each(LANGUAGES)("a page in %s", (language) => {
  beforeAll(() => useLanguage(language));

  test.each(Array.from({ length: 16 }, (_, i) => i))(
    "no text of a chart covers another or leaves it, %i",
    (seed) => {
      useLanguage(language);
      const page = comparisonPage(reportOf(someFiles(1 + (seed % 12), seed)));
      const charts = textsOf(page);
      expect(charts.length).toBeGreaterThanOrEqual(6);
      for (const { height, texts } of charts) {
        expect(texts.length).toBeGreaterThan(4);
        for (const [i, { text, box }] of texts.entries()) {
          const covered = texts.slice(0, i).filter((other) => overlap(box, other.box) > 0);
          expect({ text, covers: covered.map((other) => other.text) }).toEqual({ text, covers: [] });
          expect(box.x, text).toBeGreaterThanOrEqual(0);
          expect(box.x + box.width, text).toBeLessThanOrEqual(WIDTH);
          expect(box.y, text).toBeGreaterThanOrEqual(0);
          expect(box.y + box.height, text).toBeLessThanOrEqual(height);
        }
      }
    },
  );

  test("says what is found, of what, when and where, and no folder", () => {
    useLanguage(language);
    const random = new Random(1);
    const files = [file("q3.gguf", 2e9, 0.2, 4, random), file("q6.gguf", 4e9, 0.004, 4, random)];
    const date = new Date("2026-11-30T10:05:00Z");
    const page = comparisonPage(reportOf(files), { date, machine: "Some CPU × 8" });
    const [, verdict] = /<p class="verdict">(.*?)<\/p>/.exec(page)!;
    expect(verdict).toContain("q6.gguf");
    expect(verdict).toContain("3.73 GiB");
    expect(page).not.toContain("/home");
    expect(page).toContain("2026-11-30 10:05 UTC");
    expect(page).toContain("Some CPU × 8");
    expect(page).toContain("Q4_K, Q6_K");
    // The largest first, behind the base.
    const rows = [...page.matchAll(/<td role="cell">([^<]*)/g)].map(([, name]) => name);
    expect(rows).toEqual(["Qwen3.5-4B", "q6.gguf", "q3.gguf"]);
    expect(page).toContain(language === "zh" ? '<html lang="zh-CN">' : '<html lang="en">');
    const words = page.replace(/<style>[\s\S]*<\/style>/, "").match(/[\u4e00-\u9fff]/g) ?? [];
    expect(words.length > 0).toBe(language === "zh");
  });

  test("all files are in one chart of layers, each with a line of its own", () => {
    useLanguage(language);
    const page = comparisonPage(reportOf(someFiles(11, 5)));
    for (const id of ["layers", "tokens"]) {
      const [chart] = new RegExp(`<title id="${id}-title">[\\s\\S]*?</svg>`).exec(page)!;
      const lines = [...chart.matchAll(/<polyline class="([^"]*)" points="([^"]*)"/g)];
      expect(new Set(lines.map(([, name]) => name)).size).toBe(11);
      for (const [, , points] of lines) {
        for (const point of points!.split(" ")) {
          const [x, y] = point.split(",").map(Number) as [number, number];
          expect(x).toBeGreaterThan(0);
          expect(x).toBeLessThan(WIDTH);
          expect(y).toBeGreaterThan(20);
          expect(y).toBeLessThan(270);
        }
      }
    }
  });
});

test("where there is no room for all labels, some are left out", () => {
  const frame = { left: 48, right: 366, top: 30, bottom: 70 };
  const dots = Array.from({ length: 30 }, (_, i) => ({ x: 200, y: 50, label: `a-rather-long-name-${i}` }));
  const placed = placeLabels(dots, frame).flatMap((place, i) =>
    place ? [textBox(place, dots[i]!.label)] : [],
  );
  expect(placed.length).toBeGreaterThan(0);
  expect(placed.length).toBeLessThan(30);
  for (const [i, box] of placed.entries()) {
    for (const other of placed.slice(0, i)) expect(overlap(box, other)).toBe(0);
  }
});
