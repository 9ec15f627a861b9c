// usage: npm run attack -- [parts] [inputs=500000] [fetches=300] [pairs=50] [kills=400] [faults=100] [seed=...]
// Attacks llq with whatever it reads, at whatever it writes: parts are parsers, packed, hub, paths, writers, kills and faults;
// all of them when none is named. Prints counts and the seed; a seed gives the same attack.
import { Random } from "../support/random.js";
import { attackHub } from "./hub.js";
import { Kills } from "./kills.js";
import { attackParsers } from "./parsers.js";
import { attackPaths } from "./paths.js";
import { attackWriters } from "./writers.js";

const numbers: Record<string, number> = {
  inputs: 500_000,
  fetches: 300,
  pairs: 50,
  kills: 400,
  faults: 100,
  seed: Date.now() % 2 ** 30,
};
const named: string[] = [];
for (const arg of process.argv.slice(2)) {
  const [, name, value] = /^(\w+)=(\d+)$/.exec(arg) ?? [];
  if (name !== undefined && name in numbers) numbers[name] = Number(value);
  else named.push(arg);
}
const { inputs, fetches, pairs, kills, faults, seed } = numbers as Record<string, number> & { seed: number };
const random = new Random(seed);

async function withKills(work: (kills: Kills) => Promise<void>): Promise<string[]> {
  const own = new Kills(random);
  try {
    await work(own);
    return own.failures;
  } finally {
    await own.close();
  }
}

const PARTS: Readonly<Record<string, () => Promise<string[]>>> = {
  parsers: () => attackParsers(inputs!, seed),
  packed: () => attackParsers(inputs!, seed, "packed"),
  hub: () => attackHub(fetches!, random),
  paths: attackPaths,
  writers: () => attackWriters(pairs!, random),
  kills: () => withKills((own) => own.kill(kills!)),
  faults: () => withKills((own) => own.fail(faults!)),
};

console.log(`seed ${seed}`);
const failures: string[] = [];
for (const [name, part] of Object.entries(PARTS)) {
  if (named.length > 0 && !named.includes(name)) continue;
  console.log(`-- ${name}`);
  const found = await part();
  for (const failure of found) console.error(`FAILED: ${failure}`);
  failures.push(...found);
}
console.log(failures.length === 0 ? "all held" : `${failures.length} failures, seed ${seed}`);
process.exitCode = failures.length === 0 ? 0 : 1;
