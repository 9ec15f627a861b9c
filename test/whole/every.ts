// usage: npm run every -- [folder of checkpoints] [name ...]
// Convert, quantize, verify, imatrix, sensitivity and compare, of each checkpoint from its folder and from its GGUF; by default
// those of test/golden/families. Says what fails. Not part of CI: a quarter of an hour.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openImatrix } from "../../formats/imatrix/imatrix.js";
import { compareModels } from "../../src/eval/compare/compare-models.js";
import { writeImatrix } from "../../src/eval/imatrix/imatrix-file.js";
import { writeSensitivity } from "../../src/eval/sensitivity/sensitivity-file.js";
import { type Model, openModel } from "../../src/model.js";
import { planConvert, planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { verify } from "../../src/run/measure/verify.js";
import { execute } from "../../src/run/write/execute.js";

const GOLDEN = new URL("../../../test/golden/families", import.meta.url).pathname;
const TOKENS = 128;
const CHUNK = { context: 32, chunks: 2, threads: 0, force: true };
/** A mean divergence of a tiny random model in Q4_K_M, whose rows are too short for most types of it. */
const LARGEST_KLD = 2;
/** One that is nothing may come out so far below: where no row is long enough for any type, all stays F16. */
const LEAST_KLD = 1e-8;

const [folder = GOLDEN, ...named] = process.argv.slice(2);
const text = join(GOLDEN, "text.txt");
const scratch = mkdtempSync(join(tmpdir(), "llq-every-"));
const place = (name: string) => join(scratch, name);

/** What is wrong with what the commands make of a model; each step needs those before. */
async function faultsOf(model: Model, tokens: Int32Array): Promise<string[]> {
  const bos = model.vocab.addBos ? model.vocab.special.bos : undefined;
  const faults: string[] = [];
  const written = await writeImatrix(place("imatrix.gguf"), { model, text, tokens }, { ...CHUNK, bos });
  const imatrix = openImatrix(written.output);
  if (written.entries === 0) faults.push("imatrix: no entries");
  const quantized = place("Q4_K_M.gguf");
  await execute(
    planQuantize(model, findRecipe("Q4_K_M"), { imatrix, allowRequantize: true }),
    quantized,
    CHUNK,
  );
  const candidate = openModel(quantized);
  for (const { name, verdict, faults: why } of await verify(candidate, model, CHUNK))
    if (verdict === "wrong") faults.push(`verify: ${name} ${why.join(", ")}`);
  const types = ["Q8_0"] as const;
  const { sensitivity } = await writeSensitivity(
    place("sensitivity.json"),
    { model, text, tokens },
    { ...CHUNK, bos, types, imatrix },
  );
  if (!/[1-9]/.test(JSON.stringify(sensitivity)) || JSON.stringify(sensitivity).includes("null"))
    faults.push("sensitivity: what is no number");
  const { candidates } = await compareModels(model, [candidate], tokens, { ...CHUNK, bos });
  for (const { divergence, ppl } of candidates) {
    const kld = divergence.kld.value;
    if (!(kld > -LEAST_KLD && kld < LARGEST_KLD && Number.isFinite(ppl.value)))
      faults.push(`compare: divergence ${kld}`);
  }
  return faults;
}

async function check(name: string): Promise<string[]> {
  const model = openModel(join(folder, name));
  const { tokens } = JSON.parse(readFileSync(join(folder, name, "reference.json"), "utf8"));
  const few = Int32Array.from(tokens.slice(0, TOKENS));
  const file = place("F32.gguf");
  await execute(planConvert(model, findRecipe("F32")), file, CHUNK);
  const faults = (await faultsOf(model, few)).map((fault) => `folder: ${fault}`);
  return [...faults, ...(await faultsOf(openModel(file), few)).map((fault) => `GGUF: ${fault}`)];
}

const names = named.length > 0 ? named : readdirSync(folder);
const checkpoints = names.filter((name) => existsSync(join(folder, name, "reference.json")));
let failed = 0;
for (const name of checkpoints) {
  const faults = await check(name).catch((error: Error) => [error.message]);
  if (faults.length > 0) failed++;
  for (const fault of faults) console.log(`${name}: ${fault}`);
}
rmSync(scratch, { recursive: true });
console.log(`${failed} of ${checkpoints.length} fail`);
process.exitCode = failed > 0 ? 1 : 0;
