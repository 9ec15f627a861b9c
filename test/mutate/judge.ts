import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Mutant } from "./instrumented.js";
import type { Lane } from "./lane.js";
import { hashOf, type Survey } from "./survey.js";

/** `met` by no test, as good as `lived`; of a `timeout` that an unharmed run has too nothing is known. */
export type Fate = "killed" | "lived" | "not met" | "timeout";

export interface Verdict {
  readonly fate: Fate;
  /** The test that noticed, or how many did not. */
  readonly by: string;
}

/** Seconds of tests, as the survey has them, after which a mutant counts as alive. */
const BUDGET = 100;

/** Says which tests are for a mutant, and has them run. */
export class Judge {
  readonly #root: string;
  readonly #survey: Survey;
  readonly #ordinals: ReadonlyMap<string, { file: string; ordinal: number }>;
  readonly #texts = new Map<string, string>();
  /** Of each source, how often which tests noticed one of its mutants. */
  readonly #noticed = new Map<string, Map<string, number>>();

  constructor(root: string, survey: Survey, places: ReadonlyMap<string, { file: string; ordinal: number }>) {
    this.#root = root;
    this.#survey = survey;
    this.#ordinals = places;
  }

  /** Runs the tests that come by the mutant, those first that most likely notice in the least time. */
  async judge(lane: Lane, mutant: Mutant): Promise<Verdict> {
    const tests = this.#testsOf(mutant);
    if (tests.length === 0) return { fate: "not met", by: "" };
    let spent = 0;
    let ran = 0;
    for (const test of tests) {
      const { seconds } = this.#survey[test]!;
      if (ran > 0 && spent + seconds > BUDGET) break;
      const limit = 30 + 5 * seconds;
      const { outcome, failure } = await lane.run(test, { active: mutant.id, seconds: limit });
      if (outcome === "failed") {
        this.#remember(mutant, test);
        return { fate: "killed", by: `${test}: ${failure ?? "does not end"}` };
      }
      if (outcome === "timeout") {
        // It goes round for ever, or the machine has other things to do.
        const unharmed = await lane.run(test, { seconds: limit });
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
    return tests.sort((a, b) => promise.get(b)! - promise.get(a)!);
  }

  /** How likely a test notices, by the second: whether it speaks of the source, and of how much else. */
  #promise(test: string, file: string): number {
    const { met, seconds } = this.#survey[test]!;
    const all = Object.values(met).reduce((sum, { mutants }) => sum + mutants.length, 0);
    const share = met[file]!.mutants.length / all;
    const imports = this.#textOf(test).includes(`/${file.replace(/\.ts$/, ".js")}"`) ? 1 : 0;
    const noticed = this.#noticed.get(file)?.get(test) ?? 0;
    return (share + imports + noticed) / (seconds + 1);
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
