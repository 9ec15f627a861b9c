import { t } from "../../../language/t.js";
import type { PlanPart } from "../../../quant/split.js";
import { executePart } from "../../../run/parts/file.js";
import { executeFiles } from "../../../run/parts/files.js";
import type { Part } from "../../../run/parts/part.js";
import { runPart } from "./part.js";

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
  await runPart(title, t`weights`, part, { json }, (watching) => {
    const options = { threads, force, ...watching };
    return parts.length === 1
      ? executePart(parts[0]!.plan, output, part, options)
      : executeFiles(parts, output, part, options);
  });
}
