// usage: npm run mutate -- handed [point, file or word]     each mutation of test/mutations.json must fail its test
//        npm run mutate -- [minutes] [seed] [place]          a sample of all that a tool can think of
// Not in CI. Of a place: formats, arch, quant, run, eval or hub.
import { runHanded } from "./handed.js";
import { runSample } from "./sample.js";

const root = new URL("../../../", import.meta.url).pathname;
const [first = "30", second = "1", place] = process.argv.slice(2);
if (first === "handed") process.exitCode = runHanded(root, process.argv[3] ?? "") > 0 ? 1 : 0;
else await runSample(root, Number(first), Number(second), place);
