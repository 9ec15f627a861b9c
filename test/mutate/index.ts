// usage: npm run mutate -- handed [point, file or word]     each mutation of test/mutations.json must fail its test
//        npm run mutate -- [minutes] [seed] [place] [lanes] [minutes of survey]   a sample of all that a tool can think of
// Not in CI. Of a place: formats, arch, quant, run, gate, eval, hub, or what a path begins with; `all` for all. The minutes are
// those after the survey, which runs every test once (again only what has changed) to see what it comes by.
import { runHanded } from "./handed.js";
import { runSample } from "./sample.js";

const root = new URL("../../../", import.meta.url).pathname;
const [first = "30", second = "1", place = "all", lanes = "1", surveyMinutes = "Infinity"] =
  process.argv.slice(2);
if (first === "handed") process.exitCode = runHanded(root, process.argv[3] ?? "") > 0 ? 1 : 0;
else {
  await runSample(root, {
    minutes: Number(first),
    seed: Number(second),
    place: place === "all" ? undefined : place,
    lanes: Number(lanes),
    surveyMinutes: Number(surveyMinutes),
  });
}
