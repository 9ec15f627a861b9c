import { Option } from "commander";
import { LlqError } from "../../../../formats/errors.js";
import { t } from "../../../language/t.js";
import type { PART_DONE } from "../../../report/documents/parts.js";
import type { PartSummary } from "../../../run/parts/do-part.js";
import { nameOf, type Part } from "../../../run/parts/part.js";
import {
  createProgress,
  formatCount,
  formatSeconds,
  interruptible,
  printJson,
  printLine,
} from "../../../ui.js";

/** Where a part's results go, for commands that otherwise only print. */
export const partNameOption = () =>
  new Option("-o, --output <name>", t`with --part: what all parts together are called, for llq finish`);

/** @throws LlqError `usage` for a part without a name or a name without a part */
export function partName(part: Part | undefined, output: string | undefined): string {
  if (part !== undefined && output === undefined) {
    const hint = t`-o names what llq finish joins: the same for all parts`;
    throw new LlqError("usage", t`--part needs a place for its results`, { hint });
  }
  if (part === undefined && output !== undefined) {
    throw new LlqError("usage", t`-o is where the results of a --part go, which is not given`, {
      hint: t`--json > file keeps the result`,
    });
  }
  return output ?? "";
}

/** @throws LlqError `usage` for what no part can do alone */
export function refuseForPart(part: Part | undefined, refused: Readonly<Record<string, boolean>>): void {
  if (part === undefined) return;
  const option = Object.keys(refused).find((name) => refused[name]);
  if (option === undefined) return;
  throw new LlqError("usage", t`${option} and --part exclude each other`, {
    hint: t`parts know nothing of one another; llq finish sees all of them`,
  });
}

interface Watching {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** Does a part with progress, and says that it is done. @param items what it is made of */
export async function runPart(
  title: string,
  items: string,
  part: Part,
  { json }: { readonly json?: boolean | undefined },
  work: (watching: Watching) => Promise<PartSummary>,
): Promise<void> {
  const progress = createProgress(`${title}, ${nameOf(part)}`, json);
  const onProgress = (done: number, total: number) => progress.update(done, total);
  const summary = await interruptible((signal) => work({ signal, onProgress })).finally(() =>
    progress.stop(),
  );
  if (json) {
    const { no, count, ...rest } = summary;
    printJson<typeof PART_DONE>({ schema: 1, part: no, parts: count, ...rest });
  } else printPart(summary, items);
}

function printPart({ output, elements, resumed, seconds, ...part }: PartSummary, items: string): void {
  printLine(
    t`${output}: ${nameOf(part)} is done, ${formatCount(elements)} ${items} in ${formatSeconds(seconds)}`,
  );
  if (resumed > 0) printLine(t`${formatCount(resumed)} of them were done already`);
  printLine(t`when all ${part.count} are: llq finish ${output}`);
}
