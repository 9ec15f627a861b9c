import { withFile } from "../../formats/bytes.js";
import type { MetaField } from "../../formats/container.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import type { Model } from "../model.js";
import type { Fp4Coding } from "../rows/packed/fp4.js";
import { asFp4Blocks } from "../rows/packed/fp4-blocks.js";
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
export function carriedOver({ container: { files } }: Model, tensor: Tensor): Carried | undefined {
  const sources = tensor.sources.map(asFp4Blocks);
  const [first] = sources;
  if (tensor.steps.length > 0 || tensor.joined === "columns" || first === undefined) return undefined;
  if (sources.some((each) => each?.dtype !== first.dtype)) return undefined;
  const codings = tensor.sources.map(({ coded }) => coded as Fp4Coding);
  const read = (source: Fp4Coding["factor"]) => (source === undefined ? undefined : numberAt(files, source));
  const scales = codings.map(({ factor, divisor }) =>
    factor ? read(factor) : divisor ? inverse(read(divisor)) : 1,
  );
  const inputs = codings.map(({ inputs: of, divisor }) =>
    of ? (divisor ? inverse(read(of)) : read(of)) : 1,
  );
  const isOfExperts = tensor.shape.length > 2;
  const isEach = isOfExperts && tensor.sources.length === tensor.shape[0];
  if (!isEach && new Set(scales).size > 1) return undefined;
  if (scales.includes(undefined) || inputs.includes(undefined)) return undefined;
  const weight = { ...tensor, dtype: first.dtype, sources: sources as Tensor["sources"] };
  const beside = (role: (typeof ROLES)[number], values: readonly number[]): Tensor[] => {
    const count = isOfExperts ? tensor.shape[0]! : 1;
    const all = Array.from({ length: count }, (_, e) => values[isEach ? e : 0]!);
    return all.every((value) => isTrivial(value, isOfExperts)) ? [] : [scaleTensor(tensor, role, all)];
  };
  return {
    tensors: [weight, ...beside("scale", scales as number[]), ...beside("input_scale", inputs as number[])],
    wide: codings.some(({ wideInputs }) => wideInputs) ? [tensor.name] : [],
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

function inverse(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.fround(1 / value);
}

/** One stored F32; undefined for other types. */
function numberAt(
  files: readonly string[],
  { file, offset, dtype, coded }: NonNullable<Fp4Coding["factor"]>,
) {
  if (dtype !== "F32" || coded !== undefined) return undefined;
  const bytes = withFile(files[file]!, (source) => source.read(offset, 4));
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
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
