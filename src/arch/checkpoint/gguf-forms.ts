import type { Container, Run, TensorSource } from "../../../formats/container.js";
import { dtype } from "../../../formats/dtype.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";

/** Experts of their own, as converters of 2023 wrote them; and what llama.cpp's option --fuse-gate-up-exps stacks. */
const APART = /^(blk\.\d+\.ffn_(?:gate|down|up))\.(\d+)\.weight$/;
const FUSED = /^(blk\.\d+)\.ffn_gate_up_exps\.(weight|bias)$/;

/**
 * A GGUF's tensors in the form of today: the experts of a matrix stacked, gates and ups apart unless the architecture has
 * them in one, biases of queries, keys and values together where their matrices are. Nothing moves: a tensor has its bytes in
 * several places. In the order of the files.
 * @throws LlqError `unsupported` for experts of different types or in different files, or some of them missing
 */
export function usualForms(container: Container, isFused = false): Container {
  const tensors = new Map<string, TensorSource>();
  const apart = new Map<string, Map<number, TensorSource>>();
  for (const [name, source] of container.tensors) {
    const [, matrix, expert] = APART.exec(name) ?? [];
    const [, block, part] = isFused ? [] : (FUSED.exec(name) ?? []);
    if (matrix !== undefined) {
      const experts = apart.get(matrix) ?? new Map<number, TensorSource>();
      apart.set(matrix, experts.set(Number(expert), source));
      tensors.set(`${matrix}_exps.weight`, source); // its place; the rest follows
    } else if (block !== undefined && isPaired(source)) {
      tensors.set(`${block}.ffn_gate_exps.${part}`, half(source, 0));
      tensors.set(`${block}.ffn_up_exps.${part}`, half(source, 1));
    } else tensors.set(name, source);
  }
  joinBiases(tensors);
  for (const [matrix, experts] of apart) {
    tensors.set(`${matrix}_exps.weight`, stacked(container, matrix, experts));
  }
  return { ...container, tensors };
}

/** Fused matrices may have the biases that they had before, in files that were made of others. */
function joinBiases(tensors: Map<string, TensorSource>): void {
  for (const name of tensors.keys()) {
    const block = /^(blk\.\d+)\.attn_qkv\.weight$/.exec(name)?.[1];
    if (block === undefined || tensors.has(`${block}.attn_qkv.bias`)) continue;
    const names = ["q", "k", "v"].map((part) => `${block}.attn_${part}.bias`);
    const parts = names.flatMap((each) => tensors.get(each) ?? []);
    const [first] = parts;
    if (parts.length < 3 || first === undefined || !parts.every((each) => isLike(each, first))) continue;
    for (const each of names) tensors.delete(each);
    const length = parts.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
    tensors.set(`${block}.attn_qkv.bias`, inRuns(first, [length], parts));
  }
}

/** Vectors that can be one, of a type whose blocks are single numbers. */
function isLike({ shape, dtype: type, file }: TensorSource, first: TensorSource): boolean {
  return shape.length === 1 && type === first.dtype && file === first.file && dtype(type).blockSize === 1;
}

/**
 * The tensors with queries, keys and values apart wherever the architecture has them so: some blocks may have them below
 * each other, and others not.
 * @param rows of the architecture's table, block by block
 * @throws LlqError `bad-input` for fused ones of other shapes
 */
export function withQkvApart(
  container: Container,
  rows: readonly { readonly name: string; readonly shape: readonly number[] }[],
): Container {
  const parts = new Map<string, { readonly name: string; readonly shape: readonly number[] }[]>();
  for (const row of rows) {
    const fused = row.name.replace(/\.attn_[qkv]\./, ".attn_qkv.");
    parts.set(fused, [...(parts.get(fused) ?? []), row]);
  }
  const tensors = [...container.tensors].flatMap(([name, source]): [string, TensorSource][] => {
    const own = parts.get(name);
    return own === undefined || own.length < 3 ? [[name, source]] : cutRows(name, source, own);
  });
  return { ...container, tensors: new Map(tensors) };
}

/** Rows of a tensor as several, one below the other. */
function cutRows(
  name: string,
  source: TensorSource,
  parts: readonly { readonly name: string; readonly shape: readonly number[] }[],
): [string, TensorSource][] {
  const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const whole = [rows, ...parts[0]!.shape.slice(1)];
  if (source.shape.join() !== whole.join()) {
    const message = t`tensor ${name} is ${source.shape.join(" x ")}; the metadata asks for ${whole.join(" x ")}`;
    throw badInput(message, t`the file is damaged, or has its tensors in a form that is not known`);
  }
  if (whole.length === 1 && dtype(source.dtype).blockSize > 1) {
    throw new LlqError("unsupported", t`tensor ${name} is ${source.dtype}; biases are floats`);
  }
  let start = 0;
  return parts.map((part) => {
    const length = (source.byteLength / rows) * part.shape[0]!;
    start += length;
    return [part.name, inRuns(source, part.shape, runsOf(source, start - length, length))];
  });
}

/** Where `length` bytes of a source stand, from its byte `start` on. */
function runsOf(
  { offset, byteLength, runs = [{ offset, byteLength }] }: TensorSource,
  start: number,
  length: number,
): Run[] {
  let before = 0;
  return runs.flatMap((run) => {
    const first = Math.max(start, before) - before;
    const end = Math.min(start + length - before, run.byteLength);
    before += run.byteLength;
    return first < end ? [{ offset: run.offset + first, byteLength: end - first }] : [];
  });
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
    const message = t`${files[first.file]}: the experts of ${matrix} are not all there, of one type, in one file`;
    throw new LlqError("unsupported", message, {
      hint: t`merge the parts of a split model with llama-gguf-split`,
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
