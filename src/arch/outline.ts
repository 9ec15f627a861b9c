import type { Tensor } from "../tensor.js";
import type { Architecture, HfModel } from "./architecture.js";
import { expand, shapeOf } from "./bind.js";
import type { HParams } from "./hparams.js";

/** A tensor of which only the shape is known, and the type if it is stored somewhere. */
export type OutlineTensor = Pick<Tensor, "name" | "role" | "layer" | "shape" | "dtype">;

/**
 * The tensors that a model of these numbers has, without looking at any: what its checkpoint converts to. Optional
 * tensors (biases) are those that the configuration says it has.
 */
export function outlineTensors(
  architecture: Architecture,
  hparams: HParams,
  { tied, computed, optional }: HfModel,
): OutlineTensor[] {
  return expand(architecture, hparams).flatMap(({ row, layer, name }): OutlineTensor[] => {
    const { role } = row;
    if (row.source === undefined && computed?.has(name) !== true) return [];
    if ((tied && role === "output") || row.unread) return [];
    if (row.source !== undefined && row.optional && optional?.includes(role) !== true) return [];
    return [{ name, role, layer, shape: shapeOf(row, hparams, layer), dtype: "F32" }];
  });
}
