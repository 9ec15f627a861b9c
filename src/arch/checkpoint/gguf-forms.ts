import type { Container, Run, TensorSource } from "../../../formats/container.js";
import { LlqError } from "../../../formats/errors.js";

/** Experts of their own, as converters of 2023 wrote them; and what llama.cpp's option --fuse-gate-up-exps stacks. */
const APART = /^(blk\.\d+\.ffn_(?:gate|down|up))\.(\d+)\.weight$/;
const FUSED = /^(blk\.\d+)\.ffn_gate_up_exps\.(weight|bias)$/;

/**
 * A GGUF's tensors in the form of today: the experts of a matrix stacked, gates and ups apart. Nothing moves: a tensor
 * has its bytes in several places. In the order of the files.
 * @throws LlqError `unsupported` for experts of different types or in different files, or some of them missing
 */
export function usualForms(container: Container): Container {
  const tensors = new Map<string, TensorSource>();
  const apart = new Map<string, Map<number, TensorSource>>();
  for (const [name, source] of container.tensors) {
    const [, matrix, expert] = APART.exec(name) ?? [];
    const [, block, part] = FUSED.exec(name) ?? [];
    if (matrix !== undefined) {
      const experts = apart.get(matrix) ?? new Map<number, TensorSource>();
      apart.set(matrix, experts.set(Number(expert), source));
      tensors.set(`${matrix}_exps.weight`, source); // its place; the rest follows
    } else if (block !== undefined && isPaired(source)) {
      tensors.set(`${block}.ffn_gate_exps.${part}`, half(source, 0));
      tensors.set(`${block}.ffn_up_exps.${part}`, half(source, 1));
    } else tensors.set(name, source);
  }
  for (const [matrix, experts] of apart) {
    tensors.set(`${matrix}_exps.weight`, stacked(container, matrix, experts));
  }
  return { ...container, tensors };
}

function isPaired({ shape }: TensorSource): boolean {
  return (
    (shape.length === 3 || shape.length === 2) && shape.every((length) => length > 0) && shape[1]! % 2 === 0
  );
}

function stacked(
  { files }: Container,
  matrix: string,
  byNumber: ReadonlyMap<number, TensorSource>,
): TensorSource {
  const [first] = [...byNumber.values()] as [TensorSource];
  const experts = Array.from(byNumber, (_, e) => byNumber.get(e));
  const isOne = experts.every(
    (each) =>
      each?.file === first.file && each.dtype === first.dtype && each.shape.join() === first.shape.join(),
  );
  if (!isOne) {
    const message = `${files[first.file]}: the experts of ${matrix} are not all there, of one type, in one file`;
    throw new LlqError("unsupported", message, {
      hint: "merge the parts of a split model with llama-gguf-split",
    });
  }
  return inRuns(first, [experts.length, ...first.shape], experts as TensorSource[]);
}

/** Rows of each expert, or its biases: the first half, or the second. */
export function half(source: TensorSource, index: number): TensorSource {
  const [experts, rows, ...columns] = source.shape as [number, number, number?];
  const byteLength = source.byteLength / experts / 2;
  const runs = Array.from({ length: experts }, (_, e) => ({
    offset: source.offset + (2 * e + index) * byteLength,
    byteLength,
  }));
  return inRuns(source, [experts, rows / 2, ...(columns as number[])], runs);
}

function inRuns(source: TensorSource, shape: readonly number[], places: readonly Run[]): TensorSource {
  const runs = places.map(({ offset, byteLength }) => ({ offset, byteLength }));
  const byteLength = runs.reduce((sum, run) => sum + run.byteLength, 0);
  return { ...source, offset: runs[0]!.offset, byteLength, shape, runs };
}
