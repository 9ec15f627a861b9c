import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openImatrix } from "../../formats/imatrix/imatrix.js";
import { openSensitivity } from "../../formats/sensitivity.js";
import { chunkBos, modelTokenizer } from "../../src/commands/shared/text.js";
import { writeImatrix } from "../../src/eval/imatrix/imatrix-file.js";
import { evaluatePerplexity } from "../../src/eval/perplexity/perplexity.js";
import { writeSensitivity } from "../../src/eval/sensitivity/sensitivity-file.js";
import { openModel } from "../../src/model.js";
import { planBySize } from "../../src/quant/by-size/by-size.js";
import { menuOf } from "../../src/quant/by-size/menu.js";
import { type Plan, planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { appraise } from "../../src/run/measure/appraise.js";
import { execute } from "../../src/run/write/execute.js";
import { printTable } from "./measure.js";
import { mean, pair } from "./paired.js";

const SAMPLES = fileURLToPath(new URL("../../../samples", import.meta.url)); // from dist/test/bench
const MIXES = ["Q4_K_M", "Q4_K_S", "Q3_K_M"];
const CONTEXT = 256;
const SCORED_CHUNKS = 64;

/** A model, what it is calibrated on, and what it is scored on: other documents. */
interface Case {
  readonly name: string;
  readonly model: string;
  readonly calibration: string;
  readonly scored: string;
}

/**
 * Files whose types were chosen by measured sensitivities beside the fixed mixes of the same size and importance
 * matrix: mean divergence from the model in f32, paired chunk by chunk.
 * @param shared the folder of public models and texts, which are too large or not free to be in this repository
 */
export async function benchAllocation(shared: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "llq-bench-"));
  const data = (...path: string[]) => join(shared, "data", ...path);
  const stories = readFileSync(
    data("eval/tinystories/tinystories-train-head.656K-charset.txt"),
    "utf8",
  ).split("\n\n");
  const half = Math.floor(stories.length / 2);
  const [first, second] = [join(scratch, "first.txt"), join(scratch, "second.txt")];
  writeFileSync(first, stories.slice(0, half).join("\n\n"));
  writeFileSync(second, stories.slice(half).join("\n\n"));
  const wikitext = data("eval/wikitext2/wiki.test.raw");
  try {
    const rows = [
      ...(await runCase(scratch, {
        name: "tiny-llama, text.txt, WikiText-2",
        model: join(SAMPLES, "tiny-llama"),
        calibration: join(SAMPLES, "text.txt"),
        scored: wikitext,
      })),
      ...(await runCase(scratch, {
        name: "TinyStories-656K x2, one half of the stories, the other",
        model: data("weights/TinyStories-656K-wide256-gguf/model-f32.gguf"),
        calibration: first,
        scored: second,
      })),
    ];
    console.log("\nllq quantize --target-size --sensitivity beside the fixed mixes, same importance matrix");
    const header = [
      "model, calibrated on, scored on",
      "size of",
      "bytes",
      "its bytes",
      "KLD",
      "its KLD",
      "change",
      "p",
    ];
    printTable(header, rows);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function runCase(scratch: string, { name, ...paths }: Case): Promise<string[][]> {
  const model = openModel(paths.model);
  const bos = chunkBos(model);
  const read = (path: string) => modelTokenizer(model).encode(readFileSync(path, "utf8").replace(/\n$/, ""));
  const source = { model, text: paths.calibration, tokens: read(paths.calibration) };
  const [imatrixPath, sensitivityPath] = [join(scratch, "imatrix.gguf"), join(scratch, "sensitivity.json")];
  await writeImatrix(imatrixPath, source, { context: CONTEXT, bos, force: true });
  const imatrix = openImatrix(imatrixPath);
  await writeSensitivity(sensitivityPath, source, {
    context: CONTEXT,
    chunks: 32,
    bos,
    imatrix,
    force: true,
  });
  const options = { imatrix, guide: imatrix };
  const menu = menuOf(model, options);
  const prices = await appraise(model, menu, { imatrix, sensitivity: openSensitivity(sensitivityPath) });
  const scored = read(paths.scored);
  const divergences = async (plan: Plan): Promise<number[]> => {
    const file = join(scratch, "file.gguf");
    await execute(plan, file, { force: true });
    const { chunkMeans } = await evaluatePerplexity(openModel(file), scored, {
      context: CONTEXT,
      chunks: SCORED_CHUNKS,
      bos,
      activations: "f32",
      base: model,
    });
    return chunkMeans.map(({ base }) => base!.kld);
  };
  const rows: string[][] = [];
  for (const mix of MIXES) {
    const fixed = planQuantize(model, findRecipe(mix), { imatrix });
    const fit = planBySize(model, { bytes: fixed.byteLength, of: "file" }, menu, prices, options);
    if ("needed" in fit) throw new Error(`${mix}: nothing is as small`);
    rows.push([name, mix, ...compare(fixed, await divergences(fixed), fit, await divergences(fit))]);
  }
  return rows;
}

function compare(fixed: Plan, a: readonly number[], fit: Plan, b: readonly number[]): string[] {
  const { p } = pair(a, b);
  return [
    `${fixed.byteLength}`,
    `${fit.byteLength}`,
    mean(a).toFixed(5),
    mean(b).toFixed(5),
    `${(100 * (mean(b) / mean(a) - 1)).toFixed(1)} %`,
    `${p.toExponential(0)}`,
  ];
}
