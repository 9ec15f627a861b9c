// usage: npm run sweep -- <folder>   where test/golden/make/sweep.py has written checkpoints
// Evaluates each from its folder and from its GGUF, and says how far that is from transformers.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { evaluatePerplexity } from "../../src/eval/perplexity/perplexity.js";
import { type Model, openModel } from "../../src/model.js";
import { planConvert } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";

/** Relative difference of a perplexity. */
const LIMIT = 1e-6;

interface Reference {
  readonly tokens: readonly number[];
  readonly context: number;
  /** Whether each chunk begins with the first token. */
  readonly bos: boolean;
  readonly perplexity: number;
}

async function perplexity(model: Model, { tokens, context, bos }: Reference): Promise<number> {
  const options = { context, bos: bos ? tokens[0] : undefined, activations: "f32", threads: 0 } as const;
  return (await evaluatePerplexity(model, Int32Array.from(tokens), options)).ppl;
}

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: npm run sweep -- <folder>");
const scratch = mkdtempSync(join(tmpdir(), "llq-sweep-"));
let far = 0;
console.log("| checkpoint | transformers | from the folder | from its GGUF |\n| --- | --- | --- | --- |");
for (const name of readdirSync(folder).sort()) {
  const reference: Reference = JSON.parse(readFileSync(join(folder, name, "reference.json"), "utf8"));
  const output = join(scratch, "model.gguf");
  const differences: string[] = [];
  try {
    const model = openModel(join(folder, name));
    await execute(planConvert(model, findRecipe("F32")), output, { threads: 0, force: true });
    for (const each of [model, openModel(output)]) {
      const difference = (await perplexity(each, reference)) / reference.perplexity - 1;
      if (!(Math.abs(difference) <= LIMIT)) far++;
      differences.push(difference.toExponential(1));
    }
  } catch (error) {
    far++;
    differences.push(error instanceof Error ? error.message : String(error));
  }
  console.log(`| ${name} | ${reference.perplexity.toFixed(4)} | ${differences.join(" | ")} |`);
}
rmSync(scratch, { recursive: true });
console.log(`\n${far === 0 ? "none" : far} farther than ${LIMIT}`);
process.exitCode = far > 0 ? 1 : 0;
