import { elementCount } from "../../formats/dtype.js";
import { bitsPerWeight, type Plan, planElements } from "../quant/plan.js";
import { execute, type Summary } from "../run/execute.js";
import {
  createProgress,
  formatBytes,
  formatCount,
  formatSeconds,
  formatTable,
  interruptSignal,
  printJson,
} from "../ui.js";

/** The options of every command that writes a model. */
export interface WriteOptions {
  readonly output: string;
  readonly threads?: number;
  readonly force?: boolean;
  readonly resume?: boolean;
  readonly json?: boolean;
}

/** Carries the plan out, with progress, and says what was written. */
export async function writePlan(title: string, plan: Plan, options: WriteOptions): Promise<void> {
  const progress = createProgress(title, options.json);
  const started = performance.now();
  const onProgress = (done: number, total: number) => {
    const seconds = (performance.now() - started) / 1000;
    progress.update(done, total, `${formatCount(done / seconds)} weights/s`);
  };
  let summary: Summary;
  try {
    summary = await execute(plan, options.output, {
      threads: options.threads,
      force: options.force,
      resume: options.resume,
      signal: interruptSignal(),
      onProgress,
    });
  } finally {
    progress.stop();
  }
  if (options.json)
    printJson({ schema: 1, ...summary, recipe: plan.recipe, bitsPerWeight: bitsPerWeight(plan) });
  else printSummary(plan, summary);
}

function printSummary(
  plan: Plan,
  { output, byteLength, elements, seconds, resumed, tensors }: Summary,
): void {
  const size = `${formatBytes(byteLength)}, ${bitsPerWeight(plan).toFixed(2)} bits per weight`;
  console.log(
    `${output}: ${plan.recipe}, ${size}, ${formatCount(elements)} weights in ${formatSeconds(seconds)}`,
  );
  if (resumed > 0) console.log(`${resumed} of ${plan.tensors.length} tensors were done already`);
  const fallbacks = fallbackTensors(plan);
  if (fallbacks.length > 0) {
    console.log(
      `${fallbacks.length} tensors fell back to another type: ${fallbacks[0]!.tensor.name} to ${fallbacks[0]!.dtype} (${fallbacks[0]!.reason})`,
    );
  }
  const worst = tensors.filter(({ relativeError }) => relativeError > 0);
  worst.sort((a, b) => b.relativeError - a.relativeError);
  if (worst.length === 0) return;
  const rows = worst.slice(0, 5).map(({ name, dtype, relativeError, maxError }) => [
    name,
    dtype,
    `${(100 * relativeError).toPrecision(3)} %`,
    maxError.toPrecision(3),
  ]); // biome-ignore format: columns
  console.log(formatTable(["largest errors", "type", "relative RMS", "largest"], rows));
}

function fallbackTensors(plan: Plan): Plan["tensors"] {
  return plan.tensors.filter(({ fellBack }) => fellBack);
}

/** The dry run: every tensor with its type and why, and the totals. */
export function printPlan(plan: Plan, options: { readonly json?: boolean }): void {
  const tensors = plan.tensors.map(({ tensor, dtype, reason, byteLength }) => ({
    name: tensor.name,
    shape: tensor.shape,
    from: tensor.dtype,
    to: dtype,
    byteLength,
    reason,
  }));
  const totals = {
    byteLength: plan.byteLength,
    elements: planElements(plan),
    bitsPerWeight: bitsPerWeight(plan),
  };
  if (options.json) {
    printJson({ schema: 1, recipe: plan.recipe, ...totals, tensors });
    return;
  }
  const rows = tensors.map(({ name, shape, from, to, byteLength, reason }) => [
    name,
    shape.join(" x "),
    from === to ? from : `${from} -> ${to}`,
    formatBytes(byteLength),
    reason,
  ]);
  console.log(formatTable(["tensor", "shape", "type", "size", "why"], rows));
  const all = plan.tensors.reduce((sum, { tensor }) => sum + elementCount(tensor.shape), 0);
  console.log(
    `${plan.recipe}: ${formatBytes(plan.byteLength)} on disk, ${formatCount(all)} weights, ${totals.bitsPerWeight.toFixed(2)} bits per weight`,
  );
}
