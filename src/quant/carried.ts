import { withFile } from "../../formats/bytes.js";
import type { MetaField } from "../../formats/container.js";
import { elementCount } from "../../formats/dtype.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import type { Model } from "../model.js";
import { asBlocks, type Blocks, type Factor } from "../rows/packed/blocks.js";
import { timesOf } from "../rows/packed/times.js";
import { storedWhole, type Tensor } from "../tensor.js";

// Weights whose packing GGUF has too: written as they are, with what stands beside them.

const ROLES = ["scale", "input_scale"] as const;

function nameBeside({ name }: Tensor, role: (typeof ROLES)[number]): string {
  return name.replace(/\.weight$/, `.${role}`);
}

/** What a file holds of a weight that was packed: itself, and the scales beside it. */
export interface Carried {
  readonly tensors: readonly Tensor[];
  /** Tensors whose inputs are to stay in 16 bits. */
  readonly wide: readonly string[];
}

/** A GGUF's tensors as they stand in it, in its order. */
export function asStored({ container, tensors }: Model): Tensor[] {
  const all = tensors.flatMap((tensor): Tensor[] => {
    const [source] = tensor.sources;
    const coded = source && timesOf(source);
    const own = coded ? { ...tensor, dtype: coded.base.dtype, sources: [coded.base] } : tensor;
    const beside = ROLES.flatMap((role) => {
      const name = nameBeside(tensor, role);
      const scale = name === tensor.name ? undefined : container.tensors.get(name);
      return scale === undefined
        ? []
        : [{ ...tensor, ...storedWhole(scale), name, role, shape: scale.shape }];
    });
    return [own, ...beside];
  });
  const places = new Map([...container.tensors.keys()].map((name, i) => [name, i]));
  const isThere = all.every(({ name }) => places.has(name));
  return isThere ? all.sort((a, b) => places.get(a.name)! - places.get(b.name)!) : all;
}

/** A checkpoint's tensor as GGUF's blocks, where those are the same numbers; undefined where they are not. */
export function carriedOver(
  { container: { files } }: Pick<Model, "container">,
  tensor: Tensor,
): Carried | undefined {
  const parts = tensor.sources.map(asBlocks);
  const [first] = parts;
  if (tensor.steps.length > 0 || tensor.joined === "columns" || first === undefined) return undefined;
  if (!parts.every((each) => each?.source.dtype === first.source.dtype)) return undefined;
  const blocks = parts as readonly Blocks[];
  const isOfExperts = tensor.shape.length > 2;
  const count = isOfExperts ? tensor.shape[0]! : 1;
  const scales = numbersOf(
    files,
    blocks.map(({ factor }) => factor),
    count,
  );
  const inputs = numbersOf(
    files,
    blocks.map(({ inputs: of }) => of),
    count,
  );
  if (scales === undefined || inputs === undefined) return undefined;
  const isApart = tensor.sources.length === 1 || tensor.sources.every(({ shape }) => shape.length === 2);
  if (!isApart && new Set(scales).size > 1) return undefined;
  const weight = { ...tensor, dtype: first.source.dtype, sources: blocks.map(({ source }) => source) };
  const beside = (role: (typeof ROLES)[number], values: readonly number[]): Tensor[] => {
    const isLeftOut = values.every((value) => isTrivial(value, isOfExperts));
    return isLeftOut ? [] : [scaleTensor(tensor, role, values)];
  };
  return {
    tensors: [weight, ...beside("scale", scales), ...beside("input_scale", inputs)],
    wide: blocks.some(({ wideInputs }) => wideInputs) ? [tensor.name] : [],
  };
}

/** A scale that llama.cpp's converter leaves out; of experts it is laxer. */
function isTrivial(value: number, isOfExperts: boolean): boolean {
  return isOfExperts ? Math.abs(value - 1) <= 1e-6 + 1e-5 : Math.abs(value - 1) < 1e-6;
}

function scaleTensor(tensor: Tensor, role: (typeof ROLES)[number], values: readonly number[]): Tensor {
  return {
    name: nameBeside(tensor, role),
    role,
    layer: tensor.layer,
    shape: [values.length],
    dtype: "F32",
    sources: [],
    joined: "rows",
    ranges: undefined,
    transforms: [],
    steps: [],
    values,
  };
}

/** A number for each of `count` matrices; undefined for types that are not read here, and for parts that differ. */
function numbersOf(
  files: readonly string[],
  factors: readonly (Factor | undefined)[],
  count: number,
): readonly number[] | undefined {
  const stored = factors.map((factor) => storedNumbers(files, factor));
  if (stored.includes(undefined)) return undefined;
  const numbers = (stored as number[][]).flat();
  if (numbers.length === count) return numbers;
  return new Set(numbers).size === 1 ? Array.from({ length: count }, () => numbers[0]!) : undefined;
}

/** 1 where nothing is stored; undefined for types that are not read here. */
function storedNumbers(files: readonly string[], factor: Factor | undefined): number[] | undefined {
  if (factor === undefined) return [1];
  const { file, offset, dtype, shape, coded } = factor.source;
  if (coded !== undefined || (dtype !== "F32" && dtype !== "BF16")) return undefined;
  const size = dtype === "F32" ? 4 : 2;
  const count = elementCount(shape);
  const bytes = withFile(files[file]!, (source) => source.read(offset, count * size));
  const wide = new DataView(new ArrayBuffer(count * 4));
  for (const [i, byte] of bytes.entries()) {
    wide.setUint8(Math.floor(i / size) * 4 + (4 - size) + (i % size), byte);
  }
  return Array.from({ length: count }, (_, i) => {
    const value = Math.fround(wide.getFloat32(i * 4, true) / (factor.over ?? 1));
    return factor.divides ? Math.fround(1 / value) : value;
  });
}

/** What llama.cpp reads of tensors whose inputs are not to be rounded to 4 bits. */
export function wideKeys(names: readonly string[]): [string, MetaField][] {
  if (names.length === 0) return [];
  const sorted = [...names].sort();
  return [
    ["general.tensor_extra.name", meta.strings(sorted)],
    ["general.tensor_extra.prec_a4", meta.bools(sorted.map(() => false))],
  ];
}
