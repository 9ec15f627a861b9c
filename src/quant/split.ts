import type { Metadata } from "../../formats/container.js";
import { splitPath } from "../../formats/gguf-split.js";
import { ggufHeader, meta } from "../../formats/gguf-write.js";
import type { Plan } from "./plan.js";

/** One file of several. */
export interface PlanPart {
  readonly plan: Plan;
  readonly output: string;
}

/**
 * The planned file in as many parts as the model has files, each with the tensors that stand in that file, named
 * and described as llama-gguf-split does: `out-00001-of-00003.gguf`, the metadata in the first.
 */
export function splitLikeSource(plan: Plan, output: string): PlanPart[] {
  const count = plan.files.length;
  return plan.files.map((_, no) => {
    const tensors = plan.tensors.filter(({ tensor }) => (tensor.sources[0]?.file ?? 0) === no);
    const split: Metadata = new Map([
      ["split.no", meta.u16(no)],
      ["split.count", meta.u16(count)],
      ["split.tensors.count", meta.i32(plan.tensors.length)],
    ]);
    const metadata = no === 0 ? new Map([...plan.metadata, ...split]) : split;
    const infos = tensors.map(({ tensor, dtype }) => ({ name: tensor.name, shape: tensor.shape, dtype }));
    const { header, offsets, byteLength } = ggufHeader(metadata, infos);
    const placed = tensors.map((tensor, i) => ({ ...tensor, offset: offsets[i]! }));
    return {
      plan: { ...plan, metadata, header, tensors: placed, byteLength },
      output: splitPath(output, no, count),
    };
  });
}
