import { Random } from "../support/random.js";
import { testsOfFamilies } from "./families.js";
import { instrument, type Mutant } from "./instrumented.js";
import { Judge, type Verdict } from "./judge.js";
import { Lane } from "./lane.js";
import { ordinals, survey } from "./survey.js";

// Mutants that Stryker's instrumenter thinks of, a seeded sample of them. Its runner for vitest switches a mutant on in the
// thread of the tests alone, while half of llq runs in worker threads and child processes, from bundles; and its runner for
// commands has one command for all mutants, which would be the whole suite. So here all run the instrumented sources, and are
// told by a file which mutant is on.

/** What has a score; the gate is parted from the rest of `src/eval`. */
const PLACES: Readonly<Record<string, RegExp>> = {
  formats: /^formats\//,
  arch: /^src\/arch\//,
  quant: /^src\/quant\//,
  run: /^src\/run\//,
  gate: /^src\/eval\/perplexity\/(gate|sequential|statistics)\.ts$/,
  eval: /^src\/eval\/(?!perplexity\/(gate|sequential|statistics)\.ts$)/,
  hub: /^src\/hub\//,
};

interface Tried {
  readonly mutant: Mutant;
  readonly verdict: Verdict;
}

interface Wish {
  readonly minutes: number;
  readonly seed: number;
  /** Some of PLACES with commas between them, or what a path begins with. */
  readonly place: string | undefined;
  /** How many mutants are tried at a time. */
  readonly lanes: number;
  /** For tests that are new or changed. */
  readonly surveyMinutes: number;
}

/** Takes mutants of all places by turns until so many minutes are over; prints what lived, and the scores. */
export async function runSample(root: string, wish: Wish): Promise<void> {
  const { minutes, seed, lanes: count } = wish;
  const instrumented = await instrument(root);
  const waiting = shuffledPlaces(instrumented.mutants, wish);
  const counts = new Map([...waiting].map(([name, mutants]) => [name, mutants.length]));
  const tried = new Map<string, Tried[]>([...waiting.keys()].map((name) => [name, []]));
  const lanes = Array.from({ length: count }, () => new Lane(root, instrumented));
  try {
    const known = await survey(root, instrumented, lanes, wish.surveyMinutes);
    printFailures(known);
    const judge = new Judge(root, known, ordinals(instrumented.mutants), await testsOfFamilies(root));
    const end = performance.now() + minutes * 60_000;
    const turns = byTurns(waiting);
    await Promise.all(
      lanes.map(async (lane) => {
        for (const { name, mutant } of turns) {
          if (performance.now() >= end) break;
          const verdict = await judge.judge(lane, mutant);
          tried.get(name)!.push({ mutant, verdict });
          console.log(`${verdict.fate.padEnd(7)} ${mutant.words}  (${verdict.by})`);
        }
      }),
    );
  } finally {
    for (const lane of lanes) lane.close();
  }
  printScores(tried, counts, seed);
}

function shuffledPlaces(
  mutants: readonly Mutant[],
  { seed, place }: Pick<Wish, "seed" | "place">,
): Map<string, Mutant[]> {
  const random = new Random(seed);
  const places: [string, (file: string) => boolean][] = Object.entries(PLACES)
    .filter(([name]) => place === undefined || place.split(",").includes(name))
    .map(([name, pattern]) => [name, (file) => pattern.test(file)]);
  if (places.length === 0 && place !== undefined) places.push([place, (file) => file.startsWith(place)]);
  return new Map(
    places.map(([name, has]) => [
      name,
      shuffled(
        mutants.filter(({ file }) => has(file)),
        random,
      ),
    ]),
  );
}

/** One iterator for all lanes. */
function* byTurns(waiting: ReadonlyMap<string, Mutant[]>): Generator<{ name: string; mutant: Mutant }> {
  while ([...waiting.values()].some(({ length }) => length > 0)) {
    for (const [name, mutants] of waiting) {
      const mutant = mutants.pop();
      if (mutant !== undefined) yield { name, mutant };
    }
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}

/** Tests of the sources' own text, say, which is another one here: they can notice nothing. */
function printFailures(known: Awaited<ReturnType<typeof survey>>): void {
  const failed = Object.keys(known).filter((test) => !known[test]!.passed);
  console.log(
    `${failed.length} files of tests fail without a mutant, and are left out: ${failed.join(", ")}`,
  );
}

function printScores(
  tried: ReadonlyMap<string, readonly Tried[]>,
  counts: ReadonlyMap<string, number>,
  seed: number,
): void {
  console.log(`\nseed ${seed}\n\n| place | mutants | tried | killed | not met | score |`);
  console.log("| --- | --- | --- | --- | --- | --- |");
  let weighted = 0;
  let all = 0;
  for (const [name, results] of tried) {
    const fates = results.map(({ verdict }) => verdict.fate).filter((fate) => fate !== "timeout");
    if (fates.length === 0) continue;
    const number = (fate: string) => fates.filter((each) => each === fate).length;
    const score = number("killed") / fates.length;
    weighted += score * counts.get(name)!;
    all += counts.get(name)!;
    const row = [name, counts.get(name), fates.length, number("killed"), number("not met")];
    console.log(`| ${row.join(" | ")} | ${(100 * score).toFixed(0)} % |`);
  }
  console.log(`\n${((100 * weighted) / all).toFixed(0)} % of all, each place by the number of its mutants`);
  for (const { mutant, verdict } of [...tried.values()].flat()) {
    if (verdict.fate !== "killed") console.log(`- ${verdict.fate}: ${mutant.words} (${verdict.by})`);
  }
}
