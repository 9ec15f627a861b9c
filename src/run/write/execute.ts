import { isDeepStrictEqual } from "#host/equal";
import { elementCount } from "../../../formats/dtype.js";
import { LlqError } from "../../../formats/errors.js";
import { chooseSearches, SEARCHED } from "../../kernels/searches.js";
import { t } from "../../language/t.js";
import { type Plan, planElements } from "../../quant/plan.js";
import type { PlanPart } from "../../quant/split.js";
import { listRecords, startOver } from "../parts/record.js";
import { type PoolOptions, withFiles, withPool } from "../threads/scope.js";
import { claimOutputs, partialPath } from "./claim.js";
import { isResumable, withResumeHint } from "./output.js";
import { publishParts, removePartial, type Summary, type Written, writePartials } from "./partials.js";

export type { Summary, TensorReport } from "./partials.js";

/** The bytes do not depend on the number of threads. */
export interface ExecuteOptions extends Pick<PoolOptions, "threads" | "signal"> {
  /** Replace an output that exists. */
  readonly force?: boolean | undefined;
  /** Go on where a run with the same plan was stopped. */
  readonly resume?: boolean | undefined;
  /** Called as weights are done, at most once a job. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Writes the planned file. Until it is complete and every region has been read back and compared, it is
 * `<output>.partial` beside a journal of what is done. Both stay when the work was stopped or the disk was
 * full, for `resume`; both go when the input is at fault.
 * @throws LlqError `usage` for an output that exists or is an input, `no-space` for a full disk, `bad-input`
 * for weights that cannot be read or are not finite, and the reason of `signal`
 */
export async function execute(plan: Plan, output: string, options: ExecuteOptions = {}): Promise<Summary> {
  const [summary] = await executeParts([{ plan, output }], options);
  return summary!;
}

/**
 * The same for a model in several files of the same sources, one after the other. None has its name before all
 * are complete: a model of which the first part is there is all there.
 */
export async function executeParts(
  parts: readonly PlanPart[],
  options: ExecuteOptions = {},
): Promise<Summary[]> {
  return executeRounds(
    [parts],
    parts.map((part) => [part]),
    options,
  );
}

/**
 * The same for several models of the same sources, each in one file or more, all at once: rows that they have in common are
 * read once. None has its name before all are complete.
 * @throws LlqError as execute; `usage`, too, for plans of other sources
 */
export async function executeTogether(
  models: readonly (readonly PlanPart[])[],
  options: ExecuteOptions = {},
): Promise<Summary[][]> {
  const plans = models.flat().map(({ plan }) => plan);
  if (plans.some(({ files }) => !isDeepStrictEqual(files, plans[0]!.files))) {
    throw new LlqError("usage", t`models that are written together must be of the same sources`);
  }
  const summaries = await executeRounds(models, [models.flat()], options);
  return models.map(({ length }) => summaries.splice(0, length));
}

/** `rounds` are the same parts, in the same order, as they are written: those of a round at once. */
async function executeRounds(
  models: readonly (readonly PlanPart[])[],
  rounds: readonly (readonly PlanPart[])[],
  options: ExecuteOptions,
): Promise<Summary[]> {
  const parts = models.flat();
  const total = parts.reduce((sum, { plan }) => sum + plan.byteLength, 0);
  const outputs = parts.map(({ output }) => output);
  const { force = false } = options;
  const sources = parts[0]!.plan.files;
  for (const output of outputs) refuseParts(output);
  const claim = claimOutputs(outputs, { byteLength: total, inputs: sources, force });
  const written: Written[] = [];
  const progress = new Progress(parts, options.onProgress);
  const searches = chooseSearches(searchedElements(parts));
  let current = parts[0]!.output;
  try {
    await withFiles((open) => {
      const files = open(sources);
      return withPool({ ...options, searches }, async (pool) => {
        const work = { pool, files, progress, resume: options.resume === true };
        for (const round of rounds) {
          current = round[0]!.output;
          written.push(...(await writePartials(round, work)));
        }
      });
    });
    const files = written.map(({ summary, stamp }) => ({ output: summary.output, stamp }));
    for (const { length } of models) publishParts(files.splice(0, length), force);
    return written.map(({ summary }) => summary);
  } catch (error) {
    if (isResumable(error)) throw withResumeHint(error, partialPath(current));
    // Another run's work is not this one's to throw away.
    if (!(error instanceof LlqError && error.code === "usage")) {
      for (const { output } of parts) removePartial(output);
    }
    throw error;
  } finally {
    claim.release();
  }
}

/** A run by itself must not take away what several do together. */
function refuseParts(output: string): void {
  const [part] = listRecords(output);
  if (part === undefined) return;
  const message = t`${output}: is being made in ${part.count} parts, of which ${part.path} is one`;
  throw new LlqError("usage", message, {
    hint: t`llq finish ${output} when all are done, or ${startOver(output)}`,
  });
}

/** Weights that get a type which has a search of its own. */
export function searchedElements(parts: readonly PlanPart[]): number {
  const searched = parts.flatMap(({ plan }) => plan.tensors.filter(({ dtype }) => SEARCHED.has(dtype)));
  return searched.reduce((sum, { tensor }) => sum + elementCount(tensor.shape), 0);
}

/** Weights done of those of all parts. */
class Progress {
  readonly #total: number;
  readonly #report: ExecuteOptions["onProgress"];
  #done = 0;

  constructor(parts: readonly PlanPart[], report: ExecuteOptions["onProgress"]) {
    this.#total = parts.reduce((sum, { plan }) => sum + planElements(plan), 0);
    this.#report = report;
  }

  advance(elements: number): void {
    this.#done += elements;
    this.#report?.(this.#done, this.#total);
  }
}
