import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { Instrumenter } from "@stryker-mutator/instrumenter";
import { Random } from "../support/random.js";
import { Copy } from "./copy.js";

// Mutants that Stryker's instrumenter thinks of, a seeded sample of them. Its runner for vitest switches a mutant on in the
// thread of the tests alone, while half of llq runs in worker threads and child processes, from bundles; and its runner for
// commands has one command for all mutants, which would be the whole suite. So each mutant here is written into a copy of
// the sources, and bundled like them, and meets the tests of its own place. What other tests would notice does not count.

type Stage = readonly string[];

/** Folders of sources, the tests that go with them, cheap ones first: a stage runs when those before it passed. */
const PLACES: Readonly<Record<string, readonly (readonly [folder: string, ...stages: Stage[]])[]>> = {
  formats: [
    ...["flax", "imatrix", "llama2c", "safetensors", "sentencepiece", "torch"].map(
      (each) => [`formats/${each}`, [`test/formats/${each}.test.ts`], ["test/formats"]] as const,
    ),
    ["formats", ["test/formats/gguf.test.ts", "test/formats/properties.test.ts"], ["test/formats"]],
  ],
  arch: [
    [
      "src/arch",
      [
        "test/arch/configs",
        "test/arch/forms",
        "test/arch/meta",
        "test/net/rope.test.ts",
        "test/arch/views.test.ts",
      ],
      [
        "test/arch/families-refused.test.ts",
        "test/arch/published-shapes.test.ts",
        "test/arch/messages.test.ts",
      ],
      ["test/arch/families.test.ts", "test/arch/lora", "test/arch/tied.test.ts", "test/arch/latent"],
    ],
  ],
  quant: [
    [
      "src/quant",
      ["test/quant/plan.test.ts", "test/quant/keep.test.ts", "test/quant/fit"],
      ["test/quant/quantize.test.ts", "test/quant/split.test.ts", "test/commands/cli.test.ts"],
      ["test/quant/by-size.test.ts"],
    ],
  ],
  run: [["src/run", ["test/run"], ["test/quant/split.test.ts", "test/commands/hostile.test.ts"]]],
  eval: [
    ["src/eval/choice", ["test/eval/choice.test.ts"], ["test/eval/choice-harness.test.ts"]],
    ["src/eval/harness", ["test/eval/choice-harness.test.ts"]],
    ["src/eval/perplexity", ["test/eval/gate.test.ts", "test/eval/kld.test.ts", "test/eval/eval.test.ts"]],
    ["src/eval/divergence", ["test/eval/kld.test.ts", "test/report"], ["test/eval/compare.test.ts"]],
    ["src/eval/imatrix", ["test/eval/imatrix-compute.test.ts"]],
    ["src/eval/sensitivity", ["test/eval/sensitivity.test.ts"]],
    ["src/eval/compare", ["test/eval/compare.test.ts"]],
    ["src/eval/calibrate", ["test/eval/calibrate"], ["test/commands/calibrate.test.ts"]],
  ],
  hub: [
    [
      "src/hub",
      ["test/hub/hub.test.ts", "test/hub/hub-hostile.test.ts", "test/hub/hub-settings.test.ts"],
      ["test/hub/hub-cli.test.ts"],
    ],
  ],
};

/** Of messages; keys and names are strings too, and the tests that go by them see more than a text that is gone. */
const EXCLUDED = ["StringLiteral"];

interface Position {
  /** From 0. */
  readonly line: number;
  readonly column: number;
}

interface Mutant {
  readonly fileName: string;
  readonly mutatorName: string;
  readonly replacement: string;
  readonly location: { readonly start: Position; readonly end: Position };
}

interface Tried {
  readonly killed: boolean;
  readonly words: string;
}

/** Takes mutants of all places by turns until so many minutes are over; prints what lived, and the scores. */
export async function runSample(
  root: string,
  minutes: number,
  seed: number,
  only: string | undefined,
): Promise<void> {
  const end = performance.now() + minutes * 60_000;
  const random = new Random(seed);
  const places = Object.keys(PLACES).filter((name) => only === undefined || name === only);
  const waiting = new Map<string, Mutant[]>();
  for (const name of places) {
    const mutants = await mutantsOf(
      root,
      PLACES[name]!.map(([folder]) => folder),
    );
    waiting.set(name, shuffled(mutants, random));
  }
  const counts = new Map([...waiting].map(([name, mutants]) => [name, mutants.length]));
  const tried = new Map<string, Tried[]>(places.map((name) => [name, []]));
  const copy = new Copy(root);
  try {
    while (performance.now() < end && [...waiting.values()].some(({ length }) => length > 0)) {
      for (const name of places) {
        const mutant = waiting.get(name)!.pop();
        if (mutant === undefined || performance.now() >= end) continue;
        const result = attempt(copy, mutant, stagesOf(name, mutant.fileName));
        tried.get(name)!.push(result);
        console.log(`${result.killed ? "killed" : "LIVED "} ${result.words}`);
      }
    }
  } finally {
    copy.remove();
  }
  printScores(tried, counts, seed);
}

async function mutantsOf(root: string, folders: readonly string[]): Promise<Mutant[]> {
  const silent = () => {};
  const logger = { debug: silent, info: silent, warn: silent, isDebugEnabled: () => false };
  const instrumenter = new Instrumenter(logger as never);
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .sort()
      .map((name) => join(folder, name).split(sep).join("/")),
  );
  const sources = [...new Set(files)].map((name) => ({
    name,
    mutate: true,
    content: readFileSync(join(root, name), "utf8"),
  }));
  const options = { plugins: null, excludedMutations: EXCLUDED, ignorers: [], mutator: {} };
  const { mutants } = await instrumenter.instrument(sources, options as never);
  return mutants.filter(({ statusReason }) => statusReason === undefined); // those excluded come with a reason
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}

function stagesOf(place: string, file: string): readonly Stage[] {
  const [, ...stages] = PLACES[place]!.find(([folder]) => file.startsWith(`${folder}/`))!;
  return stages;
}

/** A mutant that does not build, or goes round for ever, is killed too. */
function attempt(copy: Copy, mutant: Mutant, stages: readonly Stage[]): Tried {
  const { fileName, mutatorName, replacement, location } = mutant;
  const original = copy.read(fileName);
  const [from, to] = [location.start, location.end].map(({ line, column }) =>
    offsetOf(original, line, column),
  );
  const short = (text: string) => text.replace(/\s+/g, " ").slice(0, 80);
  const words = `${fileName}:${location.start.line + 1} ${mutatorName}: ${short(original.slice(from, to))} → ${short(replacement)}`;
  copy.write(fileName, original.slice(0, from) + replacement + original.slice(to));
  try {
    const killed = !copy.bundle().ok || stages.some((files) => !copy.test(files).ok);
    return { killed, words };
  } finally {
    copy.write(fileName, original);
  }
}

function offsetOf(text: string, line: number, column: number): number {
  let at = 0;
  for (let i = 0; i < line; i++) at = text.indexOf("\n", at) + 1;
  return at + column;
}

function printScores(
  tried: ReadonlyMap<string, readonly Tried[]>,
  counts: ReadonlyMap<string, number>,
  seed: number,
): void {
  console.log(
    `\nseed ${seed}\n\n| place | mutants | tried | killed | score |\n| --- | --- | --- | --- | --- |`,
  );
  let weighted = 0;
  let all = 0;
  for (const [name, results] of tried) {
    if (results.length === 0) continue;
    const killed = results.filter((each) => each.killed).length;
    const score = killed / results.length;
    weighted += score * counts.get(name)!;
    all += counts.get(name)!;
    console.log(
      `| ${name} | ${counts.get(name)} | ${results.length} | ${killed} | ${(100 * score).toFixed(0)} % |`,
    );
  }
  console.log(`\n${((100 * weighted) / all).toFixed(0)} % of all, each place by the number of its mutants`);
  const lived = [...tried.values()].flat().filter(({ killed }) => !killed);
  for (const { words } of lived) console.log(`- ${words}`);
}
