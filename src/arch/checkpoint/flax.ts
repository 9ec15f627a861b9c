import type { Container, TensorSource } from "../../../formats/container.js";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { transposed } from "../../rows/transposed.js";

/** The last part of a name in Flax and in the Hugging Face checkpoint of the same model. */
const PARAMETERS: Readonly<Record<string, string>> = {
  kernel: "weight",
  embedding: "weight",
  scale: "weight",
  weight: "weight",
  bias: "bias",
};

/**
 * A Flax checkpoint with the names and shapes of the same model in PyTorch, as transformers maps them: dots for
 * slashes, one name for weights of every kind, and kernels, which Flax has as inputs × outputs, seen transposed.
 * @throws LlqError `unsupported` for parameters of other kinds
 */
export function fromFlax(container: Container): Container {
  const tensors = new Map<string, TensorSource>();
  for (const [name, source] of container.tensors) {
    const path = name.replace(/^params\//, "").split("/");
    const last = path.pop()!;
    const parameter = Object.hasOwn(PARAMETERS, last) ? PARAMETERS[last] : undefined;
    if (parameter === undefined || (last === "kernel" && source.shape.length !== 2)) {
      const message = t`${container.files[source.file]}: ${name} of shape ${source.shape.join(" x ")}`;
      throw new LlqError("unsupported", t`${message} is no parameter of a decoder`);
    }
    tensors.set([...path, parameter].join("."), last === "kernel" ? transposed(source) : source);
  }
  return { ...container, tensors };
}
