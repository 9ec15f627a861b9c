import { cutBySize, partMetadata, splitPath } from "../../formats/gguf/gguf-split.js";
import { ggufHeader } from "../../formats/gguf/gguf-write.js";
import type { Plan, TensorPlan } from "./plan.js";

/** One file of several. */
export interface PlanPart {
  readonly plan: Plan;
  readonly output: string;
}

/** The planned file in as many parts as the model has files, each with the tensors that stand in that file. */
export function splitLikeSource(plan: Plan, output: string): PlanPart[] {
  const groups = plan.files
    .map((_, no) => plan.tensors.filter(({ tensor }) => (tensor.sources[0]?.file ?? 0) === no))
    .filter((tensors) => tensors.length > 0);
  return groups.length === 1 ? [{ plan, output }] : splitInto(plan, output, groups);
}

/**
 * The planned file in parts with at most `limit` bytes of tensors each, filled in order as llama-gguf-split
 * --split-max-size does; headers do not count. A tensor above the limit has a part of its own. A model within
 * the limit stays one file with its own name.
 */
export function splitBySize(plan: Plan, output: string, limit: number): PlanPart[] {
  const groups = cutBySize(plan.tensors, limit, ({ byteLength }) => byteLength);
  return groups.length === 1 ? [{ plan, output }] : splitInto(plan, output, groups);
}

/** Parts named and described as llama-gguf-split does: `out-00001-of-00003.gguf`, the metadata in the first. */
function splitInto(plan: Plan, output: string, groups: readonly (readonly TensorPlan[])[]): PlanPart[] {
  const count = groups.length;
  return groups.map((tensors, no) => {
    const metadata = partMetadata(plan.metadata, { no, count, tensors: plan.tensors.length });
    const infos = tensors.map(({ tensor, dtype }) => ({ name: tensor.name, shape: tensor.shape, dtype }));
    const { header, offsets, byteLength } = ggufHeader(metadata, infos);
    const placed = tensors.map((tensor, i) => ({ ...tensor, offset: offsets[i]! }));
    return {
      plan: { ...plan, metadata, header, tensors: placed, byteLength },
      output: splitPath(output, no, count),
    };
  });
}
