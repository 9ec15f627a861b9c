import * as v from "valibot";
import { elementCount } from "../../../formats/dtype.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { DEFAULT_ACTIVATIONS } from "../../net/products/matmul.js";
import { measureDeviations, type TensorDeviation } from "../../run/measure/deviations.js";
import type { PartSummary } from "../../run/parts/do-part.js";
import { whole } from "../../run/parts/frames.js";
import { contentIdentity } from "../../run/parts/identity.js";
import { aboutOf, executeItems, floatBytes, floats, resultsOf } from "../../run/parts/items.js";
import type { Part } from "../../run/parts/part.js";
import { type FoundRecord, secondsOf } from "../../run/parts/record.js";
import { scoreCandidates } from "../compare/candidates.js";
import { type CompareOptions, conclude, describe, type ModelComparison } from "../compare/compare-models.js";
import { hashWork } from "../imatrix/checkpoint.js";
import { cutChunks } from "../perplexity/chunks.js";
import type { ChunkScores } from "../perplexity/forward.js";
import { checkVocabulary } from "../perplexity/perplexity.js";
import { chooseProtocol, PROTOCOL_NAMES } from "../perplexity/protocol.js";
import { Tally } from "../perplexity/tally.js";

export const COMPARE_KIND = "compare";

const described = v.object({
  path: v.string(),
  fileBytes: whole,
  bitsPerWeight: v.number(),
  types: v.array(v.string()),
  roles: v.record(v.string(), v.string()),
});
const about = v.object({
  text: v.string(),
  protocol: v.object({
    name: v.picklist(PROTOCOL_NAMES),
    context: whole,
    firstPosition: whole,
    bos: v.nullish(whole),
  }),
  activations: v.picklist(["int8", "f32"]),
  /** How many of the items are tensors of the base; the others are chunks. */
  tensors: whole,
  base: described,
  candidates: v.pipe(v.array(described), v.minLength(1)),
});

const deviation = v.object({
  name: v.string(),
  layer: v.nullish(whole),
  dtype: v.string(),
  squaredError: v.number(),
  squaredSum: v.number(),
});
/** Of a chunk, what each candidate's scored tokens are; of a tensor, how far each candidate's is from the base's. */
const itemResult = v.union([
  v.object({
    scores: v.array(v.object({ nll: floats, baseNll: floats, kld: floats, sameTop: v.instance(Uint8Array) })),
  }),
  v.object({ deviations: v.array(v.nullable(deviation)) }),
]);
/** How long each model took, and for how many chunks. */
const timing = v.object({ timed: whole, base: v.number(), candidates: v.array(v.number()) });

export interface ComparePartOptions extends CompareOptions {
  /** The text's file. */
  readonly text: string;
}

/** Weights that are compared in the time of a multiply-add, about. */
const DEVIATIONS_PER_PRODUCT = 0.1;

/**
 * A part of what compareModels does: some of the tensors, and some of the chunks.
 * @throws LlqError as compareModels and executeItems
 */
export async function comparePart(
  output: string,
  part: Part,
  base: Model,
  candidates: readonly Model[],
  tokens: Int32Array,
  options: ComparePartOptions,
): Promise<PartSummary> {
  if (candidates.length === 0) throw new LlqError("usage", t`nothing to compare ${base.path} with`);
  const { bos, threads, signal, onProgress, maxMemory, activations = DEFAULT_ACTIVATIONS, text } = options;
  const protocol = chooseProtocol({ context: options.context, bos });
  const { context, firstPosition } = protocol;
  const chunks = cutChunks(base, tokens, { context, bos, chunks: options.chunks });
  for (const candidate of candidates) checkVocabulary(candidate, base);
  const hash = hashWork(base, chunks, contentIdentity).update(JSON.stringify([protocol, activations]));
  for (const candidate of candidates) hash.update(hashWork(candidate, [], contentIdentity).digest());
  const weights = base.tensors.map(({ shape }) => elementCount(shape));
  const perToken = weights.reduce((sum, count) => sum + count, 0);
  const work = {
    kind: COMPARE_KIND,
    fingerprint: hash.digest("hex"),
    about: {
      ...{ text, protocol, activations, tensors: base.tensors.length },
      base: describe(base),
      candidates: candidates.map(describe),
    },
    works: [...weights, ...chunks.map(() => perToken * context * DEVIATIONS_PER_PRODUCT)],
  };
  const inputs = [base, ...candidates].flatMap(({ container }) => container.files);
  const watch = (stage: "weights" | "text") => (done: number, total: number) =>
    onProgress?.(stage, done, total);
  return executeItems(output, part, work, {
    ...{ inputs, force: true, signal },
    run: async (items, note) => {
      const first = base.tensors.length;
      const tensors = items.filter((item) => item < first);
      const own = items.filter((item) => item >= first);
      const pooled = { threads, signal };
      if (tensors.length > 0) {
        const some = { ...base, tensors: tensors.map((item) => base.tensors[item]!) };
        const found = await measureDeviations(some, candidates, { ...pooled, onProgress: watch("weights") });
        for (const item of tensors) {
          const { name } = base.tensors[item]!;
          const deviations = found.map((each) => each.find((one) => one.name === name) ?? null);
          note(item, { deviations });
        }
      }
      if (own.length === 0) return { timed: 0, base: 0, candidates: candidates.map(() => 0) };
      const waiting = new Map<number, ChunkScores[]>();
      const times = await scoreCandidates(
        base,
        candidates,
        own.map((item) => chunks[item - first]!),
        {
          ...{ firstPosition, activations, maxMemory, ...pooled, onProgress: watch("text") },
          onChunk: (candidate, at, scores) => {
            const all = waiting.get(at) ?? [];
            all[candidate] = scores;
            waiting.set(at, all);
            if (candidates.some((_, i) => all[i] === undefined)) return;
            waiting.delete(at);
            note(own[at]!, { scores: all.map(toResult) });
          },
        },
      );
      return { timed: own.length, ...times };
    },
  });
}

function toResult({ nll, base }: ChunkScores) {
  return {
    nll: floatBytes(nll),
    baseNll: floatBytes(base!.nll),
    kld: floatBytes(base!.kld),
    sameTop: base!.sameTop.slice(),
  };
}

/** What one run says of all models. @throws LlqError `bad-input` for records that do not make it up */
export function finishCompare(records: readonly FoundRecord[]): {
  readonly text: string;
  readonly result: ModelComparison;
} {
  const { items, text, tensors, protocol, activations, base, candidates } = aboutOf(records, about);
  const order = Array.from({ length: Math.max(0, items - tensors) }, (_, i) => i);
  const tallies = candidates.map(({ path }) => new Tally(path, order));
  const deviations = candidates.map((): (TensorDeviation | undefined)[] => []);
  for (const [item, result] of resultsOf(records, items, itemResult)) {
    if ("scores" in result) {
      for (const [i, { nll, baseNll, kld, sameTop }] of result.scores.entries()) {
        tallies[i]?.add(item - tensors, { nll, base: { nll: baseNll, kld, sameTop } });
      }
    } else {
      for (const [i, each] of result.deviations.entries()) {
        const layer = each?.layer ?? undefined;
        if (deviations[i] !== undefined) deviations[i][item] = each === null ? undefined : { ...each, layer };
      }
    }
  }
  const times = records.map(({ extra, path }) => {
    const { success, output } = v.safeParse(timing, extra);
    if (success) return output;
    throw badInput(t`${path}: how long its models took is damaged`);
  });
  const sum = (of: (each: v.InferOutput<typeof timing>) => number) =>
    times.reduce((total, each) => total + of(each), 0);
  return {
    text,
    result: conclude({
      ...{ activations, base, candidates, tallies, chunks: order.length },
      protocol: { ...protocol, bos: protocol.bos ?? undefined },
      deviations: deviations.map((each) => each.filter((one) => one !== undefined)),
      times: {
        base: sum((each) => each.base),
        candidates: candidates.map((_, i) => sum((each) => each.candidates[i] ?? 0)),
      },
      timed: sum(({ timed }) => timed),
      seconds: secondsOf(records),
    }),
  };
}
