import type { Tensor } from "../../tensor.js";
import { inputsOf } from "../inputs.js";
import type { LayerPlan } from "../plan/types.js";

/** The matrices that a layer multiplies with, those of every expert included. */
export function matricesOf(layer: LayerPlan): Tensor[] {
  const experts = layer.feedForward?.plan.mixture?.experts ?? [];
  const linears = [
    ...[...inputsOf(layer).values()].flatMap(({ matrices }) => matrices),
    ...experts.flatMap(({ gate, up, down }) => [gate, up, down]),
    layer.input?.model,
    ...[layer.streams?.router, layer.lowRank?.left, layer.lowRank?.right],
  ];
  return [...new Set(linears.flatMap((linear) => linear?.weight ?? []))];
}

/** Everything else in a plan that is a tensor: vectors, and small matrices that are taken as floats. */
export function othersOf(plan: object): Tensor[] {
  const found = new Set<Tensor>();
  const visit = (value: unknown) => {
    if (typeof value !== "object" || value === null) return;
    if (isTensor(value)) found.add(value);
    else for (const part of Object.values(value)) visit(part);
  };
  visit(plan);
  for (const matrix of "mixer" in plan ? matricesOf(plan as LayerPlan) : []) found.delete(matrix);
  return [...found];
}

function isTensor(value: object): value is Tensor {
  return "sources" in value && "shape" in value && "role" in value;
}
