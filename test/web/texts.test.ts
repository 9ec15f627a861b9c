import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { en } from "../../web/src/texts/en.js";
import { LANGUAGES, preferred } from "../../web/src/texts/index.js";

type Table = Readonly<Record<string, string | ((...values: string[]) => string)>>;

const SOURCES = readdirSync("web/src", { recursive: true, encoding: "utf8" })
  .filter((file) => /\.tsx?$/.test(file) && !file.startsWith("texts"))
  .map((file) => readFileSync(`web/src/${file}`, "utf8"))
  .join("\n");

/** A sentence with marks for its values. */
function filled(sentence: Table[string]): string {
  return typeof sentence === "string" ? sentence : sentence(...MARKS.slice(0, sentence.length));
}

const MARKS = ["⟦1⟧", "⟦2⟧", "⟦3⟧"];

describe.each(LANGUAGES)("the page in $name", ({ code, texts }) => {
  const table = texts as unknown as Table;

  it("has every sentence of the English, and no other", () => {
    expect(Object.keys(table).sort()).toEqual(Object.keys(en).sort());
  });

  it("says something in each, with all of its values", () => {
    for (const [key, sentence] of Object.entries(table)) {
      const text = filled(sentence);
      expect(text.trim(), key).not.toBe("");
      const values = (en as unknown as Table)[key]!;
      if (typeof values === "string") continue;
      for (const mark of MARKS.slice(0, values.length)) expect(text, key).toContain(mark);
    }
  });

  it("says it in that language", () => {
    // Names, units and formulas are the same everywhere.
    const same = ["sha256", "memoryUnit", "plusMinus", "ofAmount"];
    for (const [key, sentence] of Object.entries(table)) {
      if (same.includes(key)) continue;
      expect(/\p{Script=Han}/u.test(filled(sentence)), key).toBe(code === "zh");
    }
  });
});

it("has no sentence that nobody says", () => {
  const made = [/^problem[A-Z]/, /^next[A-Z]/, /^recipeMeaning\d$/]; // put together of a name and what it is of
  const unsaid = Object.keys(en).filter(
    (key) => !made.some((pattern) => pattern.test(key)) && !new RegExp(`\\b${key}\\b`).test(SOURCES),
  );
  expect(unsaid).toEqual([]);
});

it.each([
  [["zh-TW", "en"], "zh"],
  [["de-DE", "zh-CN", "en"], "zh"],
  [["fr"], "en"],
  [[], "en"],
])("takes for %j the language %s", (wanted, code) => {
  expect(preferred(wanted).code).toBe(code);
});
