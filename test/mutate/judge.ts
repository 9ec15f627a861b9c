import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FAMILY_TESTS, FIELD_TESTS } from "./families.js";
import type { Mutant } from "./instrumented.js";
import type { Lane } from "./lane.js";
import { testsNear } from "./near.js";
import { hashOf, type Survey, sampledTests } from "./survey.js";

/** `met` by no test, as good as `lived`; of a `timeout` that an unharmed run has too nothing is known. */
export type Fate = "killed" | "lived" | "not met" | "timeout";

export interface Verdict {
  readonly fate: Fate;
  /** The test that noticed, or how many did not. */
  readonly by: string;
}

/** Seconds of tests, as the survey has them, after which a mutant counts as alive. */
const BUDGET = 100;

/** Files of tests that a mutant meets at least, if there are so many. */
const LEAST = 3;

/** Seconds of a test that is run for few families, or that is known to be brief. */
const BRIEF = 10;

/** Where each mutant is: see `ordinals`. */
type Places = ReadonlyMap<string, { file: string; ordinal: number }>;

/** Says which tests are for a mutant, and has them run. */
export class Judge {
  readonly #root: string;
  readonly #survey: Survey;
  readonly #unknown: readonly string[];
  readonly #ordinals: Places;
  readonly #families: ReadonlyMap<string, string>;
  readonly #texts = new Map<string, string>();
  /** Of each source, how often which tests noticed one of its mutants. */
  readonly #noticed = new Map<string, Map<string, number>>();

  constructor(root: string, survey: Survey, places: Places, families: ReadonlyMap<string, string>) {
    this.#families = families;
    this.#root = root;
    this.#survey = survey;
    this.#unknown = sampledTests(root).filter((test) => survey[test] === undefined);
    this.#ordinals = places;
  }

  /** Runs the tests that come by the mutant, those first that most likely notice in the least time. */
  async judge(lane: Lane, mutant: Mutant): Promise<Verdict> {
    const tests = this.#testsOf(mutant);
    if (tests.length === 0) return { fate: "not met", by: "" };
    let spent = 0;
    let ran = 0;
    for (const test of tests) {
      const names = FAMILY_TESTS.includes(test) ? this.#families.get(mutant.file) : undefined;
      const seconds = names === undefined ? (this.#survey[test]?.seconds ?? BRIEF) : BRIEF;
      if (ran >= LEAST && spent + seconds > BUDGET) break;
      const limit = 30 + 5 * seconds;
      const { outcome, failure } = await lane.run(test, { names, active: mutant.id, seconds: limit });
      if (outcome === "failed") {
        this.#remember(mutant, test);
        return { fate: "killed", by: `${test}: ${failure ?? "does not load, or ends"}` };
      }
      if (outcome === "timeout") {
        // It goes round for ever, or the machine has other things to do.
        const unharmed = await lane.run(test, { names, seconds: limit });
        if (unharmed.outcome !== "passed" || unharmed.seconds > limit / 2)
          return { fate: "timeout", by: test };
        this.#remember(mutant, test);
        return { fate: "killed", by: `${test}: does not end` };
      }
      spent += seconds;
      ran++;
    }
    return { fate: "lived", by: `${ran} of ${tests.length} files of tests, ${tests.slice(0, 3).join(", ")}` };
  }

  #testsOf({ id, file }: Mutant): string[] {
    const { ordinal } = this.#ordinals.get(id)!;
    const hash = hashOf(this.#root, file);
    const meets = ({ passed, met }: Survey[string]) => {
      const found = met[file];
      if (!passed || found === undefined) return false;
      return found.hash !== hash || found.mutants.includes(ordinal);
    };
    const tests = Object.keys(this.#survey).filter((test) => meets(this.#survey[test]!));
    const promise = new Map(tests.map((test) => [test, this.#promise(test, file)]));
    const sorted = tests.sort((a, b) => promise.get(b)! - promise.get(a)!);
    const near = [...this.#unknown.filter((test) => this.#imports(test, file)), ...testsNear(file)];
    const unknown = [...new Set(near)].filter((test) => this.#survey[test] === undefined);
    if (!this.#families.has(file)) return [...unknown, ...sorted];
    return [...new Set([...FIELD_TESTS, ...FAMILY_TESTS, ...unknown, ...sorted])];
  }

  /** How likely a test notices, by the second: whether it speaks of the source, and of how much else. */
  #promise(test: string, file: string): number {
    const { met, seconds } = this.#survey[test]!;
    const all = Object.values(met).reduce((sum, { mutants }) => sum + mutants.length, 0);
    const share = met[file]!.mutants.length / all;
    const imports = this.#imports(test, file) ? 1 : 0;
    const noticed = this.#noticed.get(file)?.get(test) ?? 0;
    return (share + imports + noticed) / (seconds + 1);
  }

  #imports(test: string, file: string): boolean {
    return this.#textOf(test).includes(`/${file.replace(/\.ts$/, ".js")}"`);
  }

  #textOf(test: string): string {
    const text = this.#texts.get(test) ?? readFileSync(join(this.#root, test), "utf8");
    this.#texts.set(test, text);
    return text;
  }

  #remember({ file }: Mutant, test: string): void {
    const counts = this.#noticed.get(file) ?? new Map<string, number>();
    this.#noticed.set(file, counts.set(test, (counts.get(test) ?? 0) + 1));
  }
}
