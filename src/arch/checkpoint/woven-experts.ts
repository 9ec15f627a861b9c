import type { TensorSource } from "../../../formats/container.js";
import { dtype } from "../../../formats/dtype.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { everyRow } from "../../rows/packed/mxfp4-blocks.js";
import { half } from "./gguf-forms.js";

// Experts' matrices that a checkpoint holds as one, and not as rows below each other: gpt-oss's and Llama 4's, which are
// multiplied from the other side. Nothing moves: what a tensor is made of is a view.

/** What of a stored tensor a row of the table is, of the shape that is asked for; itself it may be of any. */
export type View = (name: string, source: TensorSource, shape: readonly number[]) => TensorSource;

/** The even columns of each expert's [columns of x, 2 × rows], or the odd ones; of packed ones, rows. */
export function everyOther(index: 0 | 1): View {
  return (name, source) => {
    const rows = everyRow(source, index, 2);
    if (rows !== undefined) return rows;
    const [experts, width, both] = dimensions(name, source);
    return viewed(source, index, [experts, both / 2, width], [width * both, 2, both]);
  };
}

/** The first half of the columns of each expert's [columns of x, 2 × rows], or the second. */
export function halfAcross(index: 0 | 1): View {
  return (name, source) => {
    const [experts, width, both] = dimensions(name, source);
    return viewed(source, (index * both) / 2, [experts, both / 2, width], [width * both, 1, both]);
  };
}

/** The first half of each expert's rows, or the second. */
export function halfOfRows(index: 0 | 1): View {
  return (name, source) => {
    dimensions(name, source);
    return half(source, index);
  };
}

/** Each expert's matrix with rows for columns; packed ones are rows already. */
export const across: View = (name, source) => {
  if (source.coded?.kind === "mxfp4-blocks") return source;
  const [experts, width, rows] = dimensions(name, source);
  return viewed(source, 0, [experts, rows, width], [width * rows, 1, rows]);
};

/** The even numbers of each row of biases, or the odd ones. */
export function everyOtherBias(index: 0 | 1): View {
  return (name, source) => {
    const [, experts, both] = dimensions(name, { ...source, shape: [1, ...source.shape] });
    return viewed(source, index, [experts, both / 2], [both, 2]);
  };
}

/** Experts' matrices below each other as one of two dimensions, as DBRX has them. */
export const cutUp: View = (name, source, shape) => {
  const [experts, rows, columns] = shape as [number, number, number];
  checkFlat(name, source, [experts * rows, columns]);
  return { ...source, shape };
};

/** The same, each with rows for columns. */
export const cutUpAcross: View = (name, source, shape) => {
  const [experts, rows, columns] = shape as [number, number, number];
  checkFlat(name, source, [experts * columns, rows]);
  return viewed(source, 0, [...shape], [columns * rows, 1, rows]);
};

function checkFlat(name: string, { shape, strides, coded, runs }: TensorSource, expected: number[]): void {
  if (strides !== undefined || coded !== undefined || runs !== undefined)
    throw new LlqError("unsupported", t`tensor ${name}: experts that are packed or a view`);
  if (shape.join() === expected.join()) return;
  const message = t`tensor ${name} is ${shape.join(" x ")}; the configuration asks for ${expected.join(" x ")}`;
  throw badInput(message, t`the checkpoint and its configuration do not belong together`);
}

/** Of a plain tensor of three dimensions. */
function dimensions(name: string, source: TensorSource): readonly [number, number, number] {
  const { shape, strides, coded, runs } = source;
  if (shape.length === 3 && strides === undefined && coded === undefined && runs === undefined) {
    return shape as readonly number[] as [number, number, number];
  }
  throw new LlqError(
    "unsupported",
    t`tensor ${name}: stacked experts that are packed, a view, or of ${shape}`,
  );
}

function viewed(source: TensorSource, element: number, shape: number[], strides: number[]): TensorSource {
  return { ...source, offset: source.offset + element * dtype(source.dtype).typeSize, shape, strides };
}
