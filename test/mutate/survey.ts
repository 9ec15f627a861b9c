import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import type { Instrumented } from "./instrumented.js";
import type { Lane } from "./lane.js";

/** What a file of tests comes by when no mutant is on. */
export interface Surveyed {
  /** Of the file, when it was run. */
  readonly hash: string;
  /** Does it pass with all mutants off? */
  readonly passed: boolean;
  readonly seconds: number;
  /** For each source: its hash, and which of its mutants were met, counted from its first. */
  readonly met: Readonly<Record<string, { readonly hash: string; readonly mutants: readonly number[] }>>;
}

export type Survey = Readonly<Record<string, Surveyed>>;

/** Longer than any file takes. */
const SECONDS = 900;

const FILE = "dist/mutate/survey.json";

/** Of the places that are sampled. What speaks of kernels, tokenizers or generation alone would only take its time. */
const TESTS = /^test\/(formats|arch|quant|run|hub|eval|report|commands)\/.*\.test\.ts$/;

/** Files of tests, of the places that are sampled. */
export function sampledTests(root: string): string[] {
  return readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .map((name) => `test/${name.split(sep).join("/")}`)
    .filter((name) => TESTS.test(name))
    .sort();
}

/**
 * Runs files of tests that are new or changed since the last survey. A source that has changed since is known by its hash. Of
 * tests that are not reached in so many minutes nothing is known.
 */
export async function survey(
  root: string,
  instrumented: Instrumented,
  lanes: readonly Lane[],
  minutes: number,
): Promise<Survey> {
  const end = performance.now() + minutes * 60_000;
  const known: Record<string, Surveyed> = existsSync(join(root, FILE))
    ? JSON.parse(readFileSync(join(root, FILE), "utf8"))
    : {};
  const tests = sampledTests(root);
  const current = (test: string) => known[test]?.hash === hashOf(root, test);
  const waiting = tests.filter((test) => !current(test));
  mkdirSync(join(root, "dist/mutate"), { recursive: true });
  await Promise.all(
    lanes.map(async (lane, i) => {
      const met = join(root, `dist/mutate/met-${i}.txt`);
      for (let test = waiting.pop(); test !== undefined; test = waiting.pop()) {
        if (performance.now() >= end) break;
        writeFileSync(met, "");
        const { outcome, seconds, failure } = await lane.run(test, { met, seconds: SECONDS });
        const ids = [...new Set(readFileSync(met, "utf8").split("\n"))].filter((id) => id !== "");
        const passed = outcome === "passed";
        known[test] = {
          hash: hashOf(root, test),
          passed,
          seconds,
          met: passed ? bySource(root, instrumented, ids) : {},
        };
        console.log(`${test} ${outcome} ${seconds.toFixed(1)} s, ${ids.length} mutants ${failure ?? ""}`);
        writeFileSync(join(root, FILE), JSON.stringify(known));
      }
      rmSync(met, { force: true });
    }),
  );
  return Object.fromEntries(tests.filter(current).map((test) => [test, known[test]!]));
}

function bySource(root: string, { mutants }: Instrumented, ids: readonly string[]): Surveyed["met"] {
  const places = ordinals(mutants);
  const met: Record<string, { hash: string; mutants: number[] }> = {};
  for (const id of ids) {
    const { file, ordinal } = places.get(id) ?? {};
    if (file === undefined || ordinal === undefined) continue;
    met[file] ??= { hash: hashOf(root, file), mutants: [] };
    met[file].mutants.push(ordinal);
  }
  return met;
}

/** Where each mutant is: its file, and the how manieth of it. */
export function ordinals(mutants: Instrumented["mutants"]): Map<string, { file: string; ordinal: number }> {
  const counts = new Map<string, number>();
  return new Map(
    mutants.map(({ id, file }) => {
      const ordinal = counts.get(file) ?? 0;
      counts.set(file, ordinal + 1);
      return [id, { file, ordinal }];
    }),
  );
}

export function hashOf(root: string, file: string): string {
  return createHash("sha256")
    .update(readFileSync(join(root, file)))
    .digest("hex")
    .slice(0, 16);
}
