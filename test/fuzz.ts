// usage: npm run fuzz -- [count] [seed]   damages valid files of every format and parses the results
import { attack } from "./support/damage.js";
import { TARGETS } from "./targets.js";

const count = Number(process.argv[2] ?? 1_000_000);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
console.log(`${count} damaged files for each format, seeds from ${seed}`);
for (const target of TARGETS) {
  const start = performance.now();
  const { accepted, refused } = attack(target, count, seed);
  const rate = Math.round((count / (performance.now() - start)) * 1000);
  console.log(`${target.name}: ${refused} refused, ${accepted} accepted and sound, ${rate} a second`);
}
