import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { chunkBos, readTokens } from "../../src/commands/shared/text.js";
import { compareModels } from "../../src/eval/compare/compare-models.js";
import { openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { distinctNames, shortLabels } from "../../src/report/html/names.js";
import { execute } from "../../src/run/write/execute.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const TEXT = new URL("../../samples/text.txt", import.meta.url).pathname;
const folder = scratchFolder();
const SIZE = ["-c", "32", "--chunks", "6"];
/** A name that would be markup, were it not escaped. */
const NAMES = { Q8_0: "tiny-q8.gguf", Q4_K_M: 'tiny-<b>&"q4.gguf' } as const;
const FILES = [NAMES.Q8_0, NAMES.Q4_K_M] as const;
/** Milliseconds: machines that test are busy. */
const SETUP_TIMEOUT = 120_000;

function llq(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    encoding: "utf8",
    cwd: folder,
    maxBuffer: 1 << 28,
  });
  return { status, stdout, stderr };
}

interface Row {
  readonly model: string;
  readonly perplexity: number;
  readonly error: number;
  readonly fileBytes: number;
  readonly bitsPerWeight: number;
  readonly tokensPerSecond: number;
}

interface Candidate extends Row {
  readonly divergence: {
    readonly kld: { readonly value: number; readonly error: number };
    readonly pplRatio: { readonly value: number; readonly error: number };
    readonly sameTop: { readonly value: number; readonly error: number };
  };
  readonly histogram: { readonly edges: readonly number[]; readonly counts: readonly number[] };
  readonly parts: readonly {
    readonly part: number | string;
    readonly relativeError: number;
    readonly tensors: readonly { readonly name: string; readonly relativeError: number }[];
  }[];
}

interface Document {
  readonly schema: number;
  readonly chunks: number;
  readonly count: number;
  readonly base: Row;
  readonly models: readonly Candidate[];
}

let found: Document;
let page: string;

function compare(...more: string[]): Document {
  const run = llq("compare", ...FILES, "--base", TINY_LLAMA, "--text", TEXT, ...SIZE, "--json", ...more);
  expect(run.stderr + run.status).toBe("0");
  return JSON.parse(run.stdout);
}

/** Without what a clock says. */
function timeless(document: Document) {
  const still = ({ tokensPerSecond, ...rest }: Row) => rest;
  return { ...document, base: still(document.base), models: document.models.map(still), seconds: 0 };
}

beforeAll(async () => {
  const source = openModel(TINY_LLAMA);
  for (const [type, name] of Object.entries(NAMES)) {
    await execute(planQuantize(source, findRecipe(type)), join(folder, name), { threads: 0 });
  }
  found = compare("--html", "report.html", "--markdown", "report.md");
  page = readFileSync(join(folder, "report.html"), "utf8");
}, SETUP_TIMEOUT);

describe("compare", () => {
  test("says of each file what eval-ppl says of it beside the base", () => {
    for (const { model, perplexity, error, divergence } of found.models) {
      const { stdout } = llq("eval-ppl", model, TEXT, ...SIZE, "--base-model", TINY_LLAMA, "--json");
      const alone = JSON.parse(stdout);
      expect({ perplexity, error }).toEqual({ perplexity: alone.perplexity, error: alone.error });
      expect(divergence).toEqual(alone.divergence);
      expect(found.base.perplexity).toBe(alone.divergence.basePpl.value);
    }
    expect(found).toMatchObject({ schema: 1, chunks: 6, count: 6 * 15 });
  });

  test("says of each tensor what verify says of it", () => {
    for (const { model, parts } of found.models) {
      const verdicts: { name: string; relativeError: number }[] = JSON.parse(
        llq("verify", model, "--source", TINY_LLAMA, "--json").stdout,
      ).tensors;
      const tensors = parts.flatMap((part) => part.tensors);
      expect(tensors).toHaveLength(verdicts.length - 1); // output_norm is in no part
      for (const { name, relativeError } of tensors) {
        const { relativeError: expected } = verdicts.find((verdict) => verdict.name === name)!;
        expect(relativeError).toBeCloseTo(expected, 7);
      }
    }
    expect(found.models[0]!.parts.map(({ part }) => part)).toEqual(["token_embd", 0, 1, 2, 3, "output"]);
  });

  test("counts every token in the histogram", () => {
    for (const { histogram } of found.models) {
      expect(histogram.counts.reduce((sum, count) => sum + count, 0)).toBe(found.count);
      expect(histogram.edges).toHaveLength(histogram.counts.length + 1);
    }
  });

  test("gives the same, but for the times, for every number of threads and any memory", async () => {
    for (const threads of ["1", "2", "4"]) {
      expect(timeless(compare("-j", threads))).toEqual(timeless(found));
    }
    expect(timeless(compare("--max-memory", "300K"))).toEqual(timeless(found));
    const [base, ...models] = [TINY_LLAMA, ...FILES.map((file) => join(folder, file))].map(openModel);
    const tokens = readTokens(base!, TEXT);
    const options = { context: 32, chunks: 6, bos: chunkBos(base!), threads: 0 };
    const { candidates } = await compareModels(base!, models, tokens, { ...options, maxMemory: 1 });
    expect(candidates.map(({ divergence }) => divergence)).toEqual(
      found.models.map(({ divergence }) => divergence),
    );
  });

  test("takes the first file as the base when none is named", () => {
    const run = llq("compare", ...FILES, "--text", TEXT, ...SIZE, "--json");
    const document: Document = JSON.parse(run.stdout);
    expect(document.base.model).toBe(FILES[0]);
    expect(document.models.map(({ model }) => model)).toEqual([FILES[1]]);
    expect(document.base.perplexity).toBe(found.models[0]!.perplexity);
  });

  test("refuses one file alone, other tokenizers, and reports in the place of inputs", () => {
    expect(llq("compare", FILES[0], "--text", TEXT)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/nothing to compare tiny-q8\.gguf with/),
    });
    const other = ["--override-kv", "tokenizer.ggml.add_space_prefix=bool:false"];
    expect(
      llq("quantize", FILES[0], "-o", "other.gguf", "--type", "F16", "--allow-requantize", ...other).status,
    ).toBe(0);
    expect(llq("compare", FILES[0], "other.gguf", "--text", TEXT)).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(/other\.gguf: its tokens of .* are not those of tiny-q8\.gguf/),
    });
    expect(llq("compare", ...FILES, "--text", TEXT, "--max-memory", "a lot")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/--max-memory a lot: not a size with its unit/),
    });
    copyFileSync(TEXT, join(folder, "text.txt"));
    for (const target of [FILES[0], "text.txt"]) {
      const before = readFileSync(join(folder, target));
      const run = llq("compare", ...FILES, "--text", "text.txt", ...SIZE, "--html", target);
      expect(run).toMatchObject({ status: 2, stderr: expect.stringMatching(/is an input too/) });
      expect(readFileSync(join(folder, target)).equals(before)).toBe(true);
    }
    expect(existsSync(join(folder, "report.html.partial"))).toBe(false);
  });
});

interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: Element[];
  /** Of the element itself and all in it. */
  text: string;
}

/** Elements of XML without comments and sections; throws where tags do not match or an attribute comes twice. */
function parseXml(xml: string): Element {
  const root: Element = { name: "", attributes: new Map(), children: [], text: "" };
  const open = [root];
  const decode = (text: string) => {
    const rest = text.replace(/&(amp|lt|gt|quot);/g, "");
    if (/[&<]/.test(rest)) throw new Error(`markup in ${text.slice(0, 80)}`);
    const of: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"' };
    return text.replace(/&(amp|lt|gt|quot);/g, (_, name: string) => of[name]!);
  };
  for (const [token] of xml.matchAll(/<[^>]*>|[^<]+/g)) {
    const tag = /^<(\/?)([a-zA-Z0-9]+)((?:\s+[a-zA-Z0-9:-]+="[^"<]*")*)\s*(\/?)>$/.exec(token);
    if (tag === null) {
      const text = decode(token);
      for (const element of open) element.text += text;
      continue;
    }
    const [, isEnd, name, attributes, isEmpty] = tag;
    if (isEnd === "/") {
      expect(open.pop()!.name).toBe(name);
      continue;
    }
    const pairs = [...attributes!.matchAll(/([a-zA-Z0-9:-]+)="([^"]*)"/g)];
    const element = {
      name: name!,
      attributes: new Map(pairs.map(([, key, value]) => [key!, decode(value!)])),
      children: [],
      text: "",
    };
    expect(element.attributes.size).toBe(pairs.length);
    open.at(-1)!.children.push(element);
    if (isEmpty !== "/") open.push(element);
  }
  expect(open).toHaveLength(1);
  expect(root.children).toHaveLength(1);
  return root.children[0]!;
}

function all(element: Element, name?: string): Element[] {
  const below = element.children.flatMap((child) => all(child, name));
  return name === undefined || element.name === name ? [element, ...below] : below;
}

describe("the page", () => {
  const parsed = () => {
    const [first, ...rest] = page.split("\n");
    expect(first).toBe("<!doctype html>");
    return parseXml(rest.join("\n").trim());
  };

  test("is well-formed, runs nothing and loads nothing", () => {
    const html = parsed();
    const names = new Set(all(html).map(({ name }) => name));
    for (const name of ["script", "link", "img", "iframe", "object", "embed", "base", "use", "image", "a"]) {
      expect(names.has(name), name).toBe(false);
    }
    const attributes = all(html).flatMap((element) => [...element.attributes.keys()]);
    expect(attributes.filter((name) => /^on|^href$|^src|^style$|^action$|:href$/.test(name))).toEqual([]);
    expect(page).not.toMatch(/url\(|@import|https?:|javascript:/);
    expect(all(html, "meta").map(({ attributes }) => attributes.get("content"))).toContain(
      "default-src 'none'; style-src 'unsafe-inline'",
    );
  });

  test("says of every file what the JSON says", () => {
    const summary = all(parsed(), "table").find((table) => table.attributes.get("class") === "summary")!;
    const rows = all(all(summary, "tbody")[0]!, "tr").map((row) => all(row, "td").map(({ text }) => text));
    const shown = ({ perplexity, error, bitsPerWeight }: Row) => ({
      bits: bitsPerWeight.toFixed(2),
      ppl: `${perplexity.toFixed(4)} ± ${error.toFixed(4)}`,
    });
    const base = shown(found.base);
    expect(rows[0]!.slice(0, 5)).toEqual(["tiny-llamabase", "BF16", expect.any(String), base.bits, base.ppl]);
    expect(rows[0]!.slice(5)).toEqual(["–", "–", "–"]);
    const sizes = found.models.map(({ fileBytes }) => fileBytes);
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
    expect(rows[1]![1]).toMatch(/^Q8_0/);
    expect(rows[2]![1]).toMatch(/^Q4_K, Q6_K|^Q4_0/);
    expect(rows.slice(1)).toEqual(
      found.models.map((model) => {
        const { bits, ppl } = shown(model);
        const { pplRatio, kld, sameTop } = model.divergence;
        const mib = `${(model.fileBytes / 2 ** 20).toFixed(2)} MiB`;
        const ratio = `${pplRatio.value.toFixed(5)} ± ${pplRatio.error.toFixed(5)}`;
        const divergence = `${kld.value.toFixed(6)} ± ${kld.error.toFixed(6)}`;
        const top = `${(100 * sameTop.value).toFixed(2)} ± ${(100 * sameTop.error).toFixed(2)}`;
        return [model.model, expect.any(String), mib, bits, ppl, ratio, divergence, top];
      }),
    );
  });

  test("draws a bar for each part and each bin that has tokens, as high as the JSON says", () => {
    const cards = all(parsed(), "article");
    expect(cards).toHaveLength(found.models.length);
    for (const [i, { parts, histogram }] of found.models.entries()) {
      const [layers, bins] = all(cards[i]!, "svg").map((chart) => all(chart, "rect"));
      expect(layers).toHaveLength(parts.length);
      expect(bins).toHaveLength(histogram.counts.filter((count) => count > 0).length);
      // Straight from 0: all heights are in the proportion of the values, to the rounding of coordinates.
      const heights = layers!.map((rect) => Number(rect.attributes.get("height")));
      const limit = Math.max(...parts.map((part) => part.relativeError));
      const unit = Math.max(...heights) / limit;
      parts.forEach(({ relativeError }, j) => {
        expect(Math.abs(heights[j]! - unit * relativeError)).toBeLessThan(0.15 + 0.002 * unit * limit);
        const percent = `${(100 * relativeError).toPrecision(3)} %`;
        expect(all(layers![j]!, "title")[0]!.text.endsWith(`: ${percent}`)).toBe(true);
      });
    }
  });

  test("describes each chart for those who do not see it, and has a table of the same", () => {
    const html = parsed();
    const ids = all(html).flatMap(({ attributes }) => attributes.get("id") ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    const charts = all(html, "svg").filter(({ attributes }) => attributes.get("aria-hidden") !== "true");
    expect(charts).toHaveLength(4 + 2 * found.models.length);
    for (const { attributes, children } of charts) {
      expect(attributes.get("role")).toBe("img");
      for (const id of attributes.get("aria-labelledby")!.split(" ")) expect(ids).toContain(id);
      expect(children.slice(0, 2).map(({ name }) => name)).toEqual(["title", "desc"]);
    }
    const tables = all(html, "details").flatMap((details) => all(details, "tbody")[0] ?? []);
    expect(tables).toHaveLength(1 + 2 * found.models.length);
    expect(tables[1]!.children).toHaveLength(found.models[0]!.parts.length);
  });

  test("fits a phone and follows the reader's colours", () => {
    expect(page).toContain('<meta name="viewport" content="width=device-width, initial-scale=1"/>');
    expect(page).toMatch(/@media \(prefers-color-scheme: dark\)/);
    expect(page).toMatch(/@media \(max-width: 720px\)/);
  });

  test("is the same for the same results", () => {
    compare("--html", "again.html");
    const still = (text: string) =>
      text.replace(/<footer>.* on \d{4}-\d\d-\d\d \d\d:\d\d UTC, on .*<\/footer>/, "");
    expect(still(page)).not.toBe(page);
    expect(still(readFileSync(join(folder, "again.html"), "utf8"))).toBe(still(page));
  });
});

test("the table as Markdown has a line for each model", () => {
  const lines = readFileSync(join(folder, "report.md"), "utf8").split("\n");
  expect(lines[0]).toMatch(/^\| model \| types \| size \| bits\/weight \| perplexity \|/);
  expect(lines[2]).toMatch(/tiny-llama \(base\) \|/);
  expect(lines[4]).toContain('| tiny-\\<b\\>\\&"q4.gguf |');
  expect(lines[4]).toContain(`| ${found.models[1]!.divergence.kld.value.toFixed(6)} ± `);
});

test("names are as short as tells them apart", () => {
  expect(distinctNames(["a/x/m.gguf", "b/x/m.gguf", "n.gguf"])).toEqual([
    "a/x/m.gguf",
    "b/x/m.gguf",
    "n.gguf",
  ]);
  expect(distinctNames(["./a/m.gguf", "b/m.gguf", "b/n.gguf"])).toEqual(["a/m.gguf", "b/m.gguf", "n.gguf"]);
  expect(shortLabels(["tiny-Q4_0.gguf", "tiny-Q4_1.gguf"])).toEqual(["Q4_0", "Q4_1"]);
  expect(shortLabels(["m.gguf"])).toEqual(["m"]);
  expect(shortLabels(["a-very-long-name-of-a-model-with-no-end.gguf", "b.gguf"])[0]).toBe(
    "a-very-lon…ith-no-end",
  );
});
