import { withFile } from "../../../formats/bytes.js";
import type { Container } from "../../../formats/container.js";

/** Whether it is the bias of a linear layer and adds nothing: AutoGPTQ writes one for every layer, trained or not. */
export function isZeroBias({ files, tensors }: Container, name: string, used: ReadonlySet<string>): boolean {
  if (!name.endsWith(".bias") || !used.has(name.replace(/bias$/, "weight"))) return false;
  const { file, offset, byteLength, shape, strides, runs } = tensors.get(name)!;
  if (shape.length !== 1 || strides !== undefined || runs !== undefined) return false;
  return withFile(files[file]!, (source) => source.read(offset, byteLength)).every((byte) => byte === 0);
}
