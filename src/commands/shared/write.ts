import { availableParallelism } from "node:os";
import { t } from "../../language/t.js";
import { bitsPerWeight, type Plan, planElements } from "../../quant/plan.js";
import type { PlanPart } from "../../quant/split.js";
import type { PLANNED, PLANNED_TOGETHER, WRITTEN, WRITTEN_PARTS } from "../../report/documents/write.js";
import { storedType } from "../../rows/packed/index.js";
import type { Part } from "../../run/parts/part.js";
import { executeParts, executeTogether, type Summary } from "../../run/write/execute.js";
import { peakMemory } from "../../run/write/memory.js";
import {
  createProgress,
  formatBytes,
  formatCount,
  formatSeconds,
  interruptible,
  printJson,
  printLine,
  printTable,
} from "../../ui.js";
import { warnOfPartial } from "./partial.js";
import { writePart } from "./parts/write-part.js";
import { printBySize, whyOf } from "./size/report.js";

/** The options of every command that writes a model. */
export interface WriteOptions {
  readonly output: string;
  readonly threads?: number;
  readonly force?: boolean;
  readonly resume?: boolean;
  readonly part?: Part;
  readonly json?: boolean;
}

type CarryOptions = Omit<WriteOptions, "output">;

/** Carries the plan out, in one file or several, with progress, and says what was written; JSON with what is `extra`. */
export async function writeParts(
  title: string,
  parts: readonly PlanPart[],
  options: WriteOptions,
  extra: object = {},
): Promise<void> {
  if (options.part !== undefined) await writePart(title, parts, options.part, options);
  else await writeModels(title, [parts], options, extra);
}

/** The same for several models of one source, which is read once. */
export async function writeModels(
  title: string,
  models: readonly (readonly PlanPart[])[],
  options: CarryOptions,
  extra: object = {},
): Promise<void> {
  const parts = models.flat();
  const summaries = await carryOut(title, models, options);
  const plans = parts.map(({ plan }, i) => ({ plan, summary: summaries[i]! }));
  if (options.json) {
    const files = plans.map(({ plan, summary }) => written(plan, summary));
    if (files.length === 1) printJson<typeof WRITTEN>({ schema: 1, ...files[0]!, ...extra });
    else printJson<typeof WRITTEN_PARTS>({ schema: 1, files, ...extra });
  } else {
    for (const { plan, summary } of plans) printSummary(plan, summary);
  }
}

async function carryOut(
  title: string,
  models: readonly (readonly PlanPart[])[],
  options: CarryOptions,
): Promise<Summary[]> {
  for (const { output } of models.flat()) warnOfPartial(output, options);
  const progress = createProgress(title, options.json);
  const started = performance.now();
  const onProgress = (done: number, total: number) => {
    const seconds = (performance.now() - started) / 1000;
    progress.update(done, total, t`${formatCount(done / seconds)} weights/s`);
  };
  try {
    const { threads, force, resume } = options;
    return await interruptible(async (signal) => {
      const each = { threads, force, resume, signal, onProgress };
      return models.length === 1
        ? executeParts(models[0]!, each)
        : (await executeTogether(models, each)).flat();
    });
  } finally {
    progress.stop();
  }
}

function written(plan: Plan, summary: Summary) {
  const fallbacks = fallbackTensors(plan).map(({ tensor, dtype, reason }) => ({
    name: tensor.name,
    dtype,
    reason,
  }));
  const { recipe, unguided, remarks, bySize } = plan;
  return { ...summary, recipe, bitsPerWeight: bitsPerWeight(plan), fallbacks, unguided, remarks, bySize };
}

function printSummary(
  plan: Plan,
  { output, byteLength, elements, seconds, resumed, tensors }: Summary,
): void {
  const size = t`${formatBytes(byteLength)}, ${bitsPerWeight(plan).toFixed(2)} bits per weight`;
  printLine(
    t`${output}: ${plan.recipe}, ${size}, ${formatCount(elements)} weights in ${formatSeconds(seconds)}`,
  );
  if (resumed > 0) printLine(t`${resumed} of ${plan.tensors.length} tensors were done already`);
  printRemarks(plan);
  const worst = tensors.filter(({ relativeError }) => relativeError > 0);
  worst.sort((a, b) => b.relativeError - a.relativeError);
  if (worst.length === 0) return;
  const rows = worst.slice(0, 5).map(({ name, dtype, relativeError, maxError }) => [
    name,
    dtype,
    `${(100 * relativeError).toPrecision(3)} %`,
    maxError.toPrecision(3),
  ]); // biome-ignore format: columns
  printTable([t`largest errors`, t`type`, t`relative RMS`, t`largest`], rows);
}

/** What did not go as the options say. */
function printRemarks(plan: Plan): void {
  const fallbacks = fallbackTensors(plan);
  if (fallbacks.length > 0) {
    const { tensor, dtype, reason } = fallbacks[0]!;
    printLine(
      t`${fallbacks.length} tensors fell back to another type: ${tensor.name} to ${dtype} (${reason})`,
    );
  }
  if (plan.unguided.length > 0) printLine(t`the importance matrix says nothing of ${listed(plan.unguided)}`);
  if (plan.bySize !== undefined) printBySize(plan, plan.bySize);
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? t`${shown} and ${names.length - 5} more` : shown;
}

function fallbackTensors(plan: Plan): Plan["tensors"] {
  return plan.tensors.filter(({ fellBack }) => fellBack);
}

interface DryOptions {
  readonly json?: boolean;
  readonly threads?: number;
}

/** The dry run: every tensor with its type and why, and what it would take; `parts` are the files. */
export function printPlan(plan: Plan, parts: readonly PlanPart[], options: DryOptions): void {
  const { totals, ...document } = planned(plan, parts, options);
  if (options.json) printJson<typeof PLANNED>({ schema: 1, ...document, ...totals });
  else {
    printTensors(plan, document);
    printNeeds(totals);
  }
}

/** The same of several models that are written together. */
export function printPlans(
  plans: readonly Plan[],
  models: readonly (readonly PlanPart[])[],
  options: DryOptions,
): void {
  const documents = plans.map((plan, i) => planned(plan, models[i]!, options));
  const peak = peakMemory(plans, options.threads ?? availableParallelism());
  const byteLength = documents.reduce((sum, { totals }) => sum + totals.byteLength, 0);
  if (options.json) {
    const outputs = documents.map(({ totals, ...document }) => ({ ...document, ...totals }));
    printJson<typeof PLANNED_TOGETHER>({ schema: 1, byteLength, peakMemory: peak, outputs });
    return;
  }
  for (const [i, { totals: _, ...document }] of documents.entries()) {
    printTensors(plans[i]!, document);
    printLine("");
  }
  printNeeds({ byteLength, peakMemory: peak });
}

function planned(plan: Plan, parts: readonly PlanPart[], { threads = availableParallelism() }: DryOptions) {
  const { recipe, byteLength, unguided, remarks, bySize } = plan;
  return {
    ...{ recipe, unguided, remarks, bySize },
    elements: planElements(plan),
    bitsPerWeight: bitsPerWeight(plan),
    totals: { byteLength, peakMemory: peakMemory([plan], threads) },
    files: parts.map((part) => ({ output: part.output, byteLength: part.plan.byteLength })),
    tensors: plan.tensors.map(({ tensor, dtype, reason, byteLength, quote }) => ({
      name: tensor.name,
      shape: tensor.shape,
      from: storedType(tensor),
      to: dtype,
      byteLength,
      reason,
      quote,
    })),
  };
}

function printTensors(plan: Plan, document: Omit<ReturnType<typeof planned>, "totals">): void {
  const { recipe, elements, files, tensors } = document;
  const rows = tensors.map(({ name, shape, from, to, byteLength }, i) => [
    name,
    shape.join(" x "),
    from === to ? from : `${from} -> ${to}`,
    formatBytes(byteLength),
    whyOf(plan.tensors[i]!),
  ]);
  printTable([t`tensor`, t`shape`, t`type`, t`size`, t`why`], rows);
  printRemarks(plan);
  printLine(
    t`${recipe}: ${formatCount(elements)} weights, ${document.bitsPerWeight.toFixed(2)} bits per weight`,
  );
  if (files.length > 1) {
    printLine(
      t`${files.length} files: ${files.map((file) => `${file.output} (${formatBytes(file.byteLength)})`).join(", ")}`,
    );
  }
}

function printNeeds({ byteLength, peakMemory }: { byteLength: number; peakMemory: number }): void {
  printLine(t`needs ${formatBytes(byteLength)} on the disk and about ${formatBytes(peakMemory)} of memory`);
}
