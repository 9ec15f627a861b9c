import { withFile } from "../../../formats/bytes.js";
import type { Container, MetaField, TensorSource } from "../../../formats/container.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture } from "../architecture.js";

/**
 * The keys that list what checkpoints hold in a tensor of one number in each layer.
 * @throws LlqError `bad-input` where a layer has none
 */
export function layerNumberKeys(
  container: Container,
  { layerNumbers = {} }: Pick<Architecture, "layerNumbers">,
  blockCount: number,
): [string, MetaField][] {
  return Object.entries(layerNumbers).map(([key, source]) => {
    const values = Array.from({ length: blockCount }, (_, layer) => {
      const name = source.replace("{i}", String(layer));
      const tensor = container.tensors.get(name);
      if (tensor === undefined) throw badInput(t`${container.files[0]}: tensor ${name} is missing`);
      return readNumber(container, name, tensor);
    });
    return [key, meta.f32s(values)];
  });
}

function readNumber({ files }: Container, name: string, source: TensorSource): number {
  const { file, offset, byteLength, shape, dtype } = source;
  if (shape.some((length) => length !== 1)) {
    throw badInput(t`tensor ${name} is ${shape.join(" x ")}; one number is needed`);
  }
  const bytes = withFile(files[file]!, (stored) => stored.read(offset, byteLength));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === "F32") return view.getFloat32(0, true);
  if (dtype === "BF16") {
    const wide = new DataView(new ArrayBuffer(4));
    wide.setUint16(2, view.getUint16(0, true), true);
    return wide.getFloat32(0, true);
  }
  if (dtype === "F16") return halfToNumber(view.getUint16(0, true));
  throw new LlqError("unsupported", t`tensor ${name} is ${dtype}`, { hint: t`supported: F32, F16, BF16` });
}

/** IEEE 754 binary16. */
function halfToNumber(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
