import { testsOfFamilies } from "../families.js";
import { instrument, type Mutant } from "../instrumented.js";
import { printScores, shuffledPlaces } from "../sample.js";
import { Quick, type QuickResult } from "./quick.js";

/** Mutants of a place that are tried before the next place has its turn. */
const TURN = 10;

/** A sample of all mutants but those in what modules compute when they are loaded; see quick.ts. */
export async function runQuick(
  root: string,
  { minutes, seed, place }: { minutes: number; seed: number; place: string | undefined },
): Promise<void> {
  const instrumented = await instrument(root);
  const quick = new Quick(root, instrumented, await testsOfFamilies(root));
  const tried = new Map<string, { mutant: Mutant; verdict: Pick<QuickResult, "fate" | "by"> }[]>();
  const counts = new Map<string, number>();
  try {
    const places = shuffledPlaces(instrumented.mutants, { seed, place });
    const files = new Set([...places.values()].flat().map(({ file }) => file));
    const tables = await quick.static([...files]);
    const waiting = new Map<string, Mutant[]>();
    for (const [name, mutants] of places) {
      const called = mutants.filter(({ id }) => !tables.has(id));
      console.log(`${name}: ${mutants.length} mutants, ${mutants.length - called.length} of them in tables`);
      waiting.set(name, called);
      counts.set(name, called.length);
      tried.set(name, []);
    }
    const end = performance.now() + minutes * 60_000;
    while (performance.now() < end && [...waiting.values()].some(({ length }) => length > 0)) {
      for (const [name, mutants] of waiting) {
        for await (const { mutant, fate, by } of quick.try(mutants.splice(0, TURN), end)) {
          tried.get(name)!.push({ mutant, verdict: { fate, by } });
          console.log(`${fate.padEnd(7)} ${mutant.words}  (${by})`);
        }
      }
    }
  } finally {
    quick.close();
  }
  printScores(tried, counts, seed);
}
