import type { Container, TensorSource } from "../../../formats/container.js";
import { elementCount } from "../../../formats/dtype.js";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { TimesCoding } from "../../rows/packed/times.js";

/** What stands beside X.weight: a factor for what it gives, and the scale of what runs through it. */
const BESIDE = /^(.*)\.(scale|input_scale)$/;

/**
 * A GGUF's tensors, each with the factor in it by which llama.cpp multiplies what a matrix gives: one for all of it, or
 * one for each of its experts. Scales of what runs through, which no CPU uses, are left out.
 * @param rows what the architecture calls its tensors: scales of its own stay
 * @throws LlqError `bad-input` for factors that are no floats, or of another number
 */
export function withScales(container: Container, rows: ReadonlySet<string>): Container {
  const tensors = new Map(container.tensors);
  for (const [name, factors] of container.tensors) {
    const [, stem, part] = BESIDE.exec(name) ?? [];
    const base = stem === undefined ? undefined : container.tensors.get(`${stem}.weight`);
    if (base === undefined || rows.has(name.replace(/^blk\.\d+\./, "blk.{i}."))) continue;
    tensors.delete(name);
    if (part === "scale") tensors.set(`${stem}.weight`, multiplied(container.files, name, base, factors));
  }
  return { ...container, tensors };
}

function multiplied(
  files: readonly string[],
  name: string,
  base: TensorSource,
  factors: TensorSource,
): TensorSource {
  const count = elementCount(factors.shape);
  const matrices = base.shape.length > 2 ? base.shape[0]! : 1;
  if (factors.dtype !== "F32" || (count !== 1 && count !== matrices)) {
    const what = t`${factors.dtype} of ${factors.shape.join(" x ")}`;
    throw badInput(t`${files[factors.file]}: ${name} is ${what}; F32 of 1 or ${matrices} was expected`);
  }
  const coded: TimesCoding = { kind: "times", base, factors: { ...factors, shape: [1, count] } };
  const { file, offset, byteLength, shape } = base;
  return { file, offset, byteLength, shape, dtype: "F32", coded };
}
