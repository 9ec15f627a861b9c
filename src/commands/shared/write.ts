import { availableParallelism } from "node:os";
import { bitsPerWeight, type Plan, planElements } from "../../quant/plan.js";
import type { PlanPart } from "../../quant/split.js";
import { PLANNED, WRITTEN, WRITTEN_PARTS } from "../../report/documents/write.js";
import { storedType } from "../../rows/packed/index.js";
import { executeParts, type Summary } from "../../run/write/execute.js";
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
import { printBySize, whyOf } from "./by-size-report.js";
import { warnOfPartial } from "./partial.js";

/** The options of every command that writes a model. */
export interface WriteOptions {
  readonly output: string;
  readonly threads?: number;
  readonly force?: boolean;
  readonly resume?: boolean;
  readonly json?: boolean;
}

/** Carries the plan out, in one file or several, with progress, and says what was written; JSON with what is `extra`. */
export async function writeParts(
  title: string,
  parts: readonly PlanPart[],
  options: WriteOptions,
  extra: object = {},
): Promise<void> {
  const summaries = await carryOut(title, parts, options);
  const plans = parts.map(({ plan }, i) => ({ plan, summary: summaries[i]! }));
  if (options.json) {
    const files = plans.map(({ plan, summary }) => written(plan, summary));
    if (files.length === 1) printJson(WRITTEN, { schema: 1, ...files[0]!, ...extra });
    else printJson(WRITTEN_PARTS, { schema: 1, files, ...extra });
  } else {
    for (const { plan, summary } of plans) printSummary(plan, summary);
  }
}

async function carryOut(
  title: string,
  parts: readonly PlanPart[],
  options: WriteOptions,
): Promise<Summary[]> {
  for (const { output } of parts) warnOfPartial(output, options);
  const progress = createProgress(title, options.json);
  const started = performance.now();
  const onProgress = (done: number, total: number) => {
    const seconds = (performance.now() - started) / 1000;
    progress.update(done, total, `${formatCount(done / seconds)} weights/s`);
  };
  try {
    const { threads, force, resume } = options;
    return await interruptible((signal) =>
      executeParts(parts, { threads, force, resume, signal, onProgress }),
    );
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
  const size = `${formatBytes(byteLength)}, ${bitsPerWeight(plan).toFixed(2)} bits per weight`;
  printLine(
    `${output}: ${plan.recipe}, ${size}, ${formatCount(elements)} weights in ${formatSeconds(seconds)}`,
  );
  if (resumed > 0) printLine(`${resumed} of ${plan.tensors.length} tensors were done already`);
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
  printTable(["largest errors", "type", "relative RMS", "largest"], rows);
}

/** What did not go as the options say. */
function printRemarks(plan: Plan): void {
  const fallbacks = fallbackTensors(plan);
  if (fallbacks.length > 0) {
    const { tensor, dtype, reason } = fallbacks[0]!;
    printLine(
      `${fallbacks.length} tensors fell back to another type: ${tensor.name} to ${dtype} (${reason})`,
    );
  }
  if (plan.unguided.length > 0) printLine(`the importance matrix says nothing of ${listed(plan.unguided)}`);
  if (plan.bySize !== undefined) printBySize(plan, plan.bySize);
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

function fallbackTensors(plan: Plan): Plan["tensors"] {
  return plan.tensors.filter(({ fellBack }) => fellBack);
}

/** The dry run: every tensor with its type and why, and what it would take; `parts` are the files. */
export function printPlan(
  plan: Plan,
  parts: readonly PlanPart[],
  options: { readonly json?: boolean; readonly threads?: number },
): void {
  const tensors = plan.tensors.map(({ tensor, dtype, reason, byteLength, quote }) => ({
    name: tensor.name,
    shape: tensor.shape,
    from: storedType(tensor),
    to: dtype,
    byteLength,
    reason,
    quote,
  }));
  const { recipe, byteLength, unguided, remarks, bySize } = plan;
  const totals = {
    byteLength,
    elements: planElements(plan),
    bitsPerWeight: bitsPerWeight(plan),
    peakMemory: peakMemory([plan], options.threads ?? availableParallelism()),
  };
  const files = parts.map((part) => ({ output: part.output, byteLength: part.plan.byteLength }));
  if (options.json) {
    printJson(PLANNED, { schema: 1, recipe, ...totals, unguided, remarks, bySize, files, tensors });
    return;
  }
  const rows = tensors.map(({ name, shape, from, to, byteLength }, i) => [
    name,
    shape.join(" x "),
    from === to ? from : `${from} -> ${to}`,
    formatBytes(byteLength),
    whyOf(plan.tensors[i]!),
  ]);
  printTable(["tensor", "shape", "type", "size", "why"], rows);
  printRemarks(plan);
  printLine(
    `${recipe}: ${formatCount(totals.elements)} weights, ${totals.bitsPerWeight.toFixed(2)} bits per weight`,
  );
  if (files.length > 1) {
    printLine(
      `${files.length} files: ${files.map((file) => `${file.output} (${formatBytes(file.byteLength)})`).join(", ")}`,
    );
  }
  printLine(
    `needs ${formatBytes(byteLength)} on the disk and about ${formatBytes(totals.peakMemory)} of memory`,
  );
}
