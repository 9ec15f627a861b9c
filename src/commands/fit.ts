import { availableParallelism } from "node:os";
import { Command, Option } from "commander";
import { LlqError } from "../../formats/errors.js";
import { findPreset, PRESETS } from "../arch/published/presets.js";
import { generateMemory, machineMemory } from "../generate/memory.js";
import { t } from "../language/t.js";
import { padText } from "../language/width.js";
import { type TeamMemory, teamBytes } from "../net/team/memory.js";
import { configOutline, type Outline } from "../outline.js";
import { parseBytes } from "../quant/bytes.js";
import { checkSomeFit, type Fit, type FitRow, planFit } from "../quant/fit/fit.js";
import { KV_TYPES, type KvType } from "../quant/fit/memory.js";
import { recipeTypes } from "../quant/fit/size.js";
import { findRecipe } from "../quant/recipes/recipes.js";
import type { FIT } from "../report/documents/look.js";
import { formatBytes, formatCount, printJson, printLine, printTable } from "../ui.js";
import { jsonOption, threadsOption, wholeNumber } from "./shared/options.js";
import { MODEL_ARGUMENT, openOutlineSource } from "./shared/source.js";

interface FitCommandOptions {
  readonly memory?: string;
  readonly params?: string;
  readonly context?: number;
  readonly kvType: KvType;
  readonly threads?: number;
  readonly json?: boolean;
}

/** What `llq generate` takes in place of what llama.cpp does. */
interface GenerateFit {
  readonly threads: number;
  /** Of each of the rows. */
  readonly rows: readonly TeamMemory[];
}

export const fitCommand = new Command("fit")
  .summary(t`say which quantizations of a model fit a device's memory`)
  .description(
    t`Say for every type of quantization what a model takes when it runs, whether that fits, and up to which context. Reads config.json or a GGUF file's header; needs no weights.`,
  )
  .argument("[model]", t`${MODEL_ARGUMENT}; config.json alone, or a header alone, will do`)
  .option(
    "-m, --memory <size>",
    t`what the model may take, such as 8GB or 7.5GiB; the system needs some too (default: all that this machine has)`,
  )
  .option(
    "-p, --params <name>",
    t`a published size instead of a model, such as llama-3.1-8b or 7B; a wrong name lists all`,
  )
  .option("-c, --context <n>", t`tokens (default: 4096, or fewer if the model has fewer)`, wholeNumber(1))
  .addOption(
    new Option("--kv-type <type>", t`type that keys and values are kept in`).choices(KV_TYPES).default("f16"),
  )
  .addOption(threadsOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq fit ./Llama-3.2-1B
  llq fit ./Llama-3.2-1B --memory 4GB
  llq fit hf:Qwen/Qwen2.5-7B --memory 8GB --context 8192
  llq fit llama-8b-q4.gguf --memory 8GiB --kv-type q8_0
  llq fit --params 7B --memory 8GB
  llq fit --params llama-3.1-8b --memory 8GB --json > fit.json

${t`Published sizes: ${[...PRESETS.keys()].join(", ")}.`}`,
  )
  .action(async (path: string | undefined, options: FitCommandOptions) => {
    const memory =
      options.memory === undefined ? machineMemory().total : parseBytes("--memory", options.memory);
    const outline = await chosenOutline(path, options);
    const fit = planFit(outline, { memory, context: options.context, kvType: options.kvType });
    const generate = generateFit(outline, fit, options.threads);
    if (options.json) printJson<typeof FIT>(document(outline, fit, generate, memory));
    else printFit(outline, fit, generate, memory, options.memory === undefined);
    checkSomeFit(outline, fit, memory);
  });

async function chosenOutline(
  path: string | undefined,
  { params, json }: FitCommandOptions,
): Promise<Outline> {
  if ((path === undefined) === (params === undefined)) {
    throw new LlqError(
      "usage",
      path === undefined ? t`which model?` : t`${path} and --params exclude each other`,
      {
        hint: t`llq fit <model>, or llq fit --params 7B --memory 8GB`,
      },
    );
  }
  if (path !== undefined) return openOutlineSource(path, { json });
  const { name, config } = findPreset(params!);
  return configOutline(name, t`--params ${name}`, config);
}

/** The same files with llq's own numbers. */
function generateFit(
  outline: Outline,
  { context, kvType, rows }: Fit,
  threads = availableParallelism(),
): GenerateFit {
  const memoryOf = generateMemory(outline, { context, kvType, threads });
  const typesOf = ({ recipe }: FitRow) =>
    recipe === undefined ? undefined : recipeTypes(outline, findRecipe(recipe));
  return { threads, rows: rows.map((row) => memoryOf(typesOf(row))) };
}

function document(outline: Outline, { run, rows, ...fit }: Fit, generate: GenerateFit, memory: number) {
  const { path: model, architecture, hparams } = outline;
  const { kv, compute, overhead } = run;
  return {
    schema: 1 as const,
    model,
    architecture: architecture.name,
    contextLength: hparams.contextLength,
    memory,
    ...fit,
    kv,
    compute,
    overhead,
    recipes: rows.map((row, i) => {
      const own = generate.rows[i]!;
      return { ...row, generate: { totalBytes: teamBytes(own), ...own } };
    }),
    threads: generate.threads,
  };
}

function printFit(
  { path, architecture, hparams }: Outline,
  fit: Fit,
  generate: GenerateFit,
  memory: number,
  isMachines: boolean,
): void {
  const { blockCount, contextLength } = hparams;
  printLine(
    t`${path}: ${architecture.name}, ${formatCount(fit.weights)} weights, ${blockCount} layers, trained for ${contextLength} tokens`,
  );
  const { kv, compute, overhead } = fit.run;
  printLine(
    t`memory ${formatBytes(memory)}${isMachines ? t` (this machine's)` : ""}, context ${fit.context}, KV cache in ${fit.kvType}`,
  );
  printLine();
  const parts: [string, { bytes: number; formula: string }][] = [[t`KV cache`, kv], [t`compute`, compute], [t`overhead`, overhead]]; // biome-ignore format: one line
  for (const [name, { bytes, formula }] of parts) {
    printLine(`${padText(name, 8)}  ${formatBytes(bytes).padStart(8)}  = ${formula}`);
  }
  const header = [
    t`recipe`,
    t`bits/weight`,
    t`weights`,
    t`total`,
    t`fits`,
    t`largest context`,
    t`llq generate`,
  ];
  const rows = fit.rows.map((row, i) => [
    ...cells(row, contextLength),
    formatBytes(teamBytes(generate.rows[i]!)),
  ]);
  printLine();
  printTable(header, rows);
  const threads = generate.threads === 1 ? t`one thread` : t`${generate.threads} threads`;
  printLine();
  printLine(t`total is llama.cpp's; llq generate takes what the last column says, with ${threads}`);
  if (fit.suggested !== undefined) printLine(t`suggested: ${fit.suggested}`);
}

function cells(row: FitRow, contextLength: number): string[] {
  const { recipe, needsImatrix, bitsPerWeight, weightBytes, totalBytes, fits, largestContext } = row;
  const most =
    largestContext === contextLength ? t`${contextLength} (all)` : String(largestContext ?? t`none`);
  return [
    `${recipe ?? t`as it is`}${needsImatrix ? t` (imatrix)` : ""}`,
    bitsPerWeight.toFixed(2),
    formatBytes(weightBytes),
    formatBytes(totalBytes),
    fits ? t`yes` : t`no`,
    most,
  ];
}
