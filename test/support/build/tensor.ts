import type { TensorSource } from "../../../formats/container.js";
import { storedWhole, type Tensor } from "../../../src/tensor.js";

/** A tensor that is stored whole, as `source` says; what else it is matters to few. */
export function storedTensor(source: TensorSource, parts: Partial<Tensor> = {}): Tensor {
  return { name: "t", role: "ffn_up", layer: 0, shape: source.shape, ...storedWhole(source), ...parts };
}
