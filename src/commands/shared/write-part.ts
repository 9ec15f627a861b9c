import { LlqError } from "../../../formats/errors.js";
import type { PlanPart } from "../../quant/split.js";
import type { PART_DONE } from "../../report/documents/parts.js";
import { executePart, type PartSummary } from "../../run/parts/file.js";
import { executeFiles } from "../../run/parts/files.js";
import { nameOf, type Part } from "../../run/parts/part.js";
import { createProgress, formatCount, formatSeconds, interruptible, printJson, printLine } from "../../ui.js";

interface PartOptions {
  readonly output: string;
  readonly threads?: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Does one of the parts of a file, or of a model in several files. */
export async function writePart(
  title: string,
  parts: readonly PlanPart[],
  part: Part,
  { output, threads, force, json }: PartOptions,
): Promise<void> {
  const progress = createProgress(`${title}, ${nameOf(part)}`, json);
  const onProgress = (done: number, total: number) => progress.update(done, total);
  const summary = await interruptible((signal) => {
    const options = { threads, force, signal, onProgress };
    return parts.length === 1
      ? executePart(parts[0]!.plan, output, part, options)
      : executeFiles(parts, output, part, options);
  }).finally(() => progress.stop());
  if (json) printJson<typeof PART_DONE>(partDocument(summary));
  else printPart(summary, "weights");
}

export function partDocument({ no, count, ...rest }: PartSummary) {
  return { schema: 1 as const, part: no, parts: count, ...rest };
}

/** @param what is counted */
export function printPart({ output, elements, resumed, seconds, ...part }: PartSummary, what: string): void {
  printLine(
    `${output}: ${nameOf(part)} is done, ${formatCount(elements)} ${what} in ${formatSeconds(seconds)}`,
  );
  if (resumed > 0) printLine(`${formatCount(resumed)} of them were done already`);
  printLine(`when all ${part.count} are: llq finish ${output}`);
}

/** @throws LlqError `usage` for what no part can do alone */
export function refuseForPart(part: Part | undefined, refused: Readonly<Record<string, boolean>>): void {
  if (part === undefined) return;
  const option = Object.keys(refused).find((name) => refused[name]);
  if (option === undefined) return;
  throw new LlqError("usage", `${option} and --part exclude each other`, {
    hint: "parts know nothing of one another",
  });
}
