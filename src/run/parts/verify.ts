import * as v from "valibot";
import { createHash } from "#host/hash";
import { elementCount } from "../../../formats/dtype.js";
import type { Model } from "../../model.js";
import { VERSION } from "../../version.js";
import {
  isCalibrated,
  surplusOf,
  type TensorVerdict,
  type VerifyOptions,
  verify,
} from "../measure/verify.js";
import type { PartSummary } from "./do-part.js";
import { contentIdentity } from "./identity.js";
import { aboutOf, executeItems, resultsOf } from "./items.js";
import type { Part } from "./part.js";
import type { FoundRecord } from "./record.js";

export const VERIFY_KIND = "verify";

const tensorVerdict = v.object({
  name: v.string(),
  dtype: v.string(),
  verdict: v.picklist(["identical", "close", "wrong"]),
  faults: v.array(v.string()),
  relativeError: v.union([v.number(), v.nan()]),
});
const about = v.object({
  file: v.string(),
  isCalibrated: v.boolean(),
  /** Of tensors that the source has not. */
  surplus: v.array(tensorVerdict),
});

/**
 * A part of what verify does: some of the source's tensors.
 * @throws LlqError as verify and executeItems
 */
export async function verifyPart(
  output: string,
  part: Part,
  written: Model,
  source: Model,
  options: Omit<VerifyOptions, "tensors" | "onVerdict"> = {},
): Promise<PartSummary> {
  const files = [...written.container.files, ...source.container.files];
  const hash = createHash("sha256").update(VERSION);
  for (const file of files) hash.update(contentIdentity(file));
  for (const { tensors } of [written, source]) hash.update(JSON.stringify(tensors));
  const work = {
    kind: VERIFY_KIND,
    fingerprint: hash.digest("hex"),
    about: {
      file: written.path,
      isCalibrated: isCalibrated(written),
      surplus: surplusOf(written, source),
    },
    works: source.tensors.map(({ shape }) => elementCount(shape)),
  };
  return executeItems(output, part, work, {
    ...{ inputs: files, force: true, signal: options.signal },
    run: async (items, note) => {
      const tensors = items.map((item) => source.tensors[item]!);
      const itemOf = new Map(tensors.map((tensor, i) => [tensor, items[i]!]));
      const onVerdict = (tensor: (typeof tensors)[number], verdict: TensorVerdict) =>
        note(itemOf.get(tensor)!, verdict);
      await verify(written, source, { ...options, tensors, onVerdict });
    },
  });
}

export interface FinishedVerify {
  readonly file: string;
  readonly isCalibrated: boolean;
  readonly verdicts: readonly TensorVerdict[];
}

/** What one run says of all tensors. @throws LlqError `bad-input` for records that do not make it up */
export function finishVerify(records: readonly FoundRecord[]): FinishedVerify {
  const { items, file, isCalibrated, surplus } = aboutOf(records, about);
  const verdicts: TensorVerdict[] = [];
  for (const [item, verdict] of resultsOf(records, items, tensorVerdict)) verdicts[item] = verdict;
  return { file, isCalibrated, verdicts: [...verdicts, ...surplus] };
}
