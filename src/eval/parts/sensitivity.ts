import * as v from "valibot";
import { type DTypeName, findDType } from "../../../formats/dtype.js";
import { badInput } from "../../../formats/errors.js";
import type { Sensitivity } from "../../../formats/sensitivity.js";
import { t } from "../../language/t.js";
import { planDecoder } from "../../net/plan/decoder.js";
import type { PartSummary } from "../../run/parts/do-part.js";
import { whole } from "../../run/parts/frames.js";
import { contentIdentity } from "../../run/parts/identity.js";
import { aboutOf, executeItems, floatBytes, floats, resultsOf } from "../../run/parts/items.js";
import type { Part } from "../../run/parts/part.js";
import type { FoundRecord } from "../../run/parts/record.js";
import { cutChunks, spreadChunks } from "../perplexity/chunks.js";
import { measureSensitivity, stageOf } from "../sensitivity/sensitivity.js";
import {
  checkNumber,
  DEFAULT_CHUNKS,
  DEFAULT_CONTEXT,
  DEFAULT_TYPES,
  type Described,
  describeSensitivity,
  fingerprint,
  perturbationsOf,
  type SensitivitySource,
  summarize,
  type WriteSensitivityOptions,
} from "../sensitivity/sensitivity-file.js";

export const SENSITIVITY_KIND = "sensitivity";

const about = v.object({
  model: v.string(),
  architecture: v.string(),
  fingerprint: v.string(),
  text: v.string(),
  context: whole,
  chunks: whole,
  imatrix: v.nullable(v.string()),
  roundings: v.array(
    v.object({
      name: v.string(),
      shape: v.array(whole),
      dtype: v.custom<DTypeName>((name) => typeof name === "string" && findDType(name) === name),
    }),
  ),
});
/** What a rounding does to each of the chunks. */
const roundingResult = v.object({ klds: floats });

export interface SensitivityPartOptions extends Omit<WriteSensitivityOptions, "resume"> {}

/**
 * A part of what writeSensitivity does: some of the roundings, on all chunks.
 * @throws LlqError as writeSensitivity and executeItems
 */
export async function measureSensitivityPart(
  output: string,
  part: Part,
  { model, text, tokens }: SensitivitySource,
  options: SensitivityPartOptions,
): Promise<PartSummary> {
  const { context = DEFAULT_CONTEXT, bos, imatrix, force, signal } = options;
  const chunks = spreadChunks(cutChunks(model, tokens, { context, bos }), options.chunks ?? DEFAULT_CHUNKS);
  const perturbations = perturbationsOf(model, options.types ?? DEFAULT_TYPES, imatrix);
  const plan = planDecoder(model);
  const described = describeSensitivity(
    model,
    { text, context, imatrix, chunks: chunks.length },
    perturbations,
  );
  const depth = plan.layers.length;
  const work = {
    kind: SENSITIVITY_KIND,
    fingerprint: fingerprint(model, chunks, perturbations, contentIdentity),
    about: { ...described, model: model.path } satisfies Described & { model: string },
    // the blocks from there on, and the output
    works: perturbations.map(({ tensor }) => {
      const stage = stageOf(plan, tensor);
      return 1 + depth - (stage === "embedding" ? 0 : stage === "output" ? depth : stage);
    }),
  };
  const inputs = [...model.container.files, text, ...(imatrix === undefined ? [] : [imatrix.file])];
  return executeItems(output, part, work, {
    ...{ inputs, force, signal },
    run: async (items, note) => {
      const own = items.map((item) => perturbations[item]!);
      const klds = own.map(() => new Float64Array(chunks.length).fill(Number.NaN));
      await measureSensitivity(model, chunks, own, {
        ...options,
        scratch: `${output}.part-${part.no}-of-${part.count}.scratch`,
        isDone: () => false,
        onChunk: (at, chunk, kld) => {
          klds[at]![chunk] = checkNumber(model, own[at]!, kld);
          if (klds[at]!.every((value) => !Number.isNaN(value)))
            note(items[at]!, { klds: floatBytes(klds[at]!) });
        },
        onBatch: () => {},
      });
    },
  });
}

/** What one run says of all roundings. @throws LlqError `bad-input` for records that do not make it up */
export function finishSensitivity(
  output: string,
  records: readonly FoundRecord[],
): { readonly model: string; readonly sensitivity: Sensitivity } {
  const { items, model, ...described } = aboutOf(records, about);
  const { chunks, roundings } = described;
  if (items !== roundings.length)
    throw badInput(t`${records[0]!.path}: its roundings are not those of its head`);
  const klds: Float64Array[] = [];
  for (const [rounding, result] of resultsOf(records, items, roundingResult)) {
    if (result.klds.length !== chunks) throw badInput(t`${records[0]!.path}: results of other chunks`);
    klds[rounding] = result.klds;
  }
  const all = new Float64Array(items * chunks);
  for (const [i, values] of klds.entries()) all.set(values, i * chunks);
  return { model, sensitivity: summarize(output, described, all) };
}
