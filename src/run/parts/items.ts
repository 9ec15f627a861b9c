import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { OutputOptions } from "../write/claim.js";
import { doPart, type PartSummary } from "./do-part.js";
import { whole } from "./frames.js";
import { nameOf, type Part, shareOf } from "./part.js";
import { type FoundRecord, PartRecord, readEntries, recordPath } from "./record.js";

// Work that is a list of items, each with a result of its own: chunks of a text, questions, tensors. A part notes the results
// of its items; what one run adds up of all of them is added up when all are there, in the same order.

export interface ItemWork {
  /** What finishing calls it. */
  readonly kind: string;
  /** Of all that the results depend on, wherever a part runs. */
  readonly fingerprint: string;
  /** What finishing needs to know. Plain data. */
  readonly about: object;
  /** Of each item, in order: how much there is to do. */
  readonly works: readonly number[];
}

export interface ItemOptions extends Pick<OutputOptions, "inputs" | "force"> {
  readonly signal?: AbortSignal | undefined;
  /**
   * Does some items, in any order, and notes the result of each as it is done. Plain data, as MessagePack has it: arrays of
   * numbers are better bytes.
   * @returns what is to be kept of the run itself
   */
  readonly run: (items: readonly number[], note: (item: number, result: unknown) => void) => Promise<unknown>;
}

const itemEntry = v.object({ item: whole, result: v.unknown() });

/**
 * Does a part of the items; what a killed run of the same part has noted stays done.
 * @throws LlqError `usage` when another run has this part, or other parts are of other work; and as `run` does
 */
export async function executeItems(
  output: string,
  part: Part,
  { works, ...work }: ItemWork,
  { run, ...options }: ItemOptions,
): Promise<PartSummary> {
  const { first, end } = shareOf(works, part);
  const describe = () => ({ ...work, about: { ...work.about, items: works.length } });
  return doPart(output, part, options, describe, async (head, found) => {
    const done = found === undefined ? [] : [...doneItems(found)];
    const isDone = new Set(done);
    const missing = Array.from({ length: end - first }, (_, i) => first + i).filter(
      (item) => !isDone.has(item),
    );
    const record =
      found === undefined
        ? PartRecord.create(recordPath(output, part), head)
        : PartRecord.goOn(found, done.length);
    try {
      const note = (item: number, result: unknown) => record.add({ item, result });
      const extra = missing.length > 0 ? await run(missing, note) : found?.extra;
      record.end(extra ?? null);
    } finally {
      record.close();
    }
    return { elements: end - first, resumed: end - first - missing.length };
  });
}

function* doneItems(found: FoundRecord): Generator<number> {
  for (const entry of readEntries(found)) {
    const { success, output } = v.safeParse(itemEntry, entry);
    if (!success) return;
    yield output.item;
  }
}

/** What the parts were told of the work. */
export function aboutOf<S extends v.GenericSchema>(
  records: readonly FoundRecord[],
  schema: S,
): v.InferOutput<S> & { readonly items: number } {
  const { path, about } = records[0]!;
  const own = v.safeParse(schema, about);
  const items = v.safeParse(v.object({ items: whole }), about);
  if (own.success && items.success) return { ...(own.output as object), ...items.output } as never;
  throw badInput(t`${path}: what it says of the work is damaged, or of another version of llq`);
}

/**
 * The results of all items, each once, as they stand in the parts: those of one part in the order in which they were done.
 * @throws LlqError `bad-input` for a result that is none, or is missing
 */
export function* resultsOf<S extends v.GenericSchema>(
  records: readonly FoundRecord[],
  items: number,
  schema: S,
): Generator<readonly [item: number, result: v.InferOutput<S>]> {
  const seen = new Set<number>();
  for (const record of records) {
    for (const entry of readEntries(record)) {
      const noted = v.safeParse(itemEntry, entry);
      const result = noted.success ? v.safeParse(schema, noted.output.result) : undefined;
      if (!noted.success || !result?.success || noted.output.item >= items) {
        throw badInput(t`${record.path}: is damaged`, t`remove it, and run ${nameOf(record)} again`);
      }
      if (seen.has(noted.output.item)) continue;
      seen.add(noted.output.item);
      yield [noted.output.item, result.output];
    }
  }
  if (seen.size === items) return;
  throw badInput(
    t`${records[0]!.path}: the parts have ${seen.size} of ${items} results`,
    t`some part is damaged`,
  );
}

/** Floats as bytes, and back. */
export function floatBytes({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}

export const floats = v.pipe(
  v.instance(Uint8Array),
  v.check(({ length }) => length % 8 === 0),
  v.transform((bytes) => new Float64Array(bytes.slice().buffer)),
);
