import { byteLength, elementCount, type Model, type TensorPlan } from "llq/browser";
import { groupOf } from "./group.js";
import type { ModelInfo, PlannedTensor } from "./protocol.js";

/** What the page says of a model. */
export function describeModel(model: Model, name: string, toFetch: number): ModelInfo {
  const { architecture, container, hparams, vocab, tensors } = model;
  const bytes = new Map<string, number>();
  for (const { dtype, shape } of tensors) {
    bytes.set(dtype, (bytes.get(dtype) ?? 0) + byteLength(dtype, shape));
  }
  return {
    name,
    architecture: architecture.name,
    format: container.format,
    parameters: tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    layers: hparams.blockCount,
    contextLength: hparams.contextLength,
    vocabulary: vocab.tokens.length,
    types: [...bytes].sort(([, a], [, b]) => b - a).map(([type]) => type),
    byteLength: [...bytes.values()].reduce((sum, each) => sum + each, 0),
    toFetch,
  };
}

export function describeTensor({ tensor, dtype, byteLength: bytesAfter }: TensorPlan): PlannedTensor {
  const { name, role, shape } = tensor;
  return {
    name,
    group: groupOf(role),
    shape: shape.toReversed(), // as GGUF and llama.cpp write it
    from: tensor.dtype,
    to: dtype,
    bytesBefore: byteLength(tensor.dtype, shape),
    bytesAfter,
  };
}
