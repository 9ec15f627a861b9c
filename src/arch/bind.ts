import type { Container, TensorSource } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";
import { transposed } from "../rows/transposed.js";
import { rowLength, storedWhole, type Tensor } from "../tensor.js";
import type { Architecture, HfModel, TensorRow } from "./architecture.js";
import { withQkvApart } from "./checkpoint/gguf-forms.js";
import { withoutLatentPairs } from "./checkpoint/latent.js";
import { basePrefix } from "./checkpoint/names.js";
import { isSameTensor } from "./checkpoint/tied.js";
import { isZeroBias } from "./checkpoint/zero-bias.js";
import { type Dimension, dimension } from "./dimensions.js";
import { APART_QKV, withApartQkv, withExpertsApart, withFusedQkv } from "./fused.js";
import type { HParams } from "./hparams.js";
import { missingFrom, missingTensors, unknownTensors } from "./misfits.js";
import { numbered } from "./names.js";
import { BEFORE_BLOCKS, ropeDivisors } from "./rows.js";

/** A row of the architecture's table for one block. */
export interface Bound {
  readonly row: TensorRow;
  readonly layer: number | undefined;
  readonly name: string;
  /** Names it may have in a checkpoint: of each writer, those of the tensors that are stacked. */
  readonly sources: readonly (readonly string[])[];
}

/**
 * The model's tensors out of a Hugging Face checkpoint, in the order of the architecture's table.
 * @throws LlqError `bad-input` naming the tensors that are missing, unknown or of another shape
 */
export function bindHuggingFace(
  architecture: Architecture,
  hparams: HParams,
  stored: Container,
  { tied, computed, steps, transforms }: HfModel,
): Tensor[] {
  const container = withoutLatentPairs(stored, architecture, hparams);
  const find = (name: string) => foundName(architecture, container, name);
  const used = new Set<string>();
  const missing: string[] = [];
  const tensors: Tensor[] = [];
  const rows = expand(architecture, hparams);
  const head = rows.find(({ row }) => row.role === "output");
  for (const bound of rows) {
    const { row, name } = bound;
    if (row.source === undefined) {
      const values = computed?.get(name);
      if (values !== undefined)
        tensors.push(computedTensor(bound, shapeOf(row, hparams, bound.layer), values));
      continue;
    }
    if (tied && row.role === "output" && isEmbedding(bound, container, find, tensors)) {
      // GGUF leaves the output of a tied model out; loaders take the embedding.
      for (const [from] of bound.sources) used.add(find(from!) ?? from!);
      continue;
    }
    // Writers of tied checkpoints keep one of the two names, and not all keep the same.
    const isTied = tied || head?.row.optional === true;
    const spare = isTied && row.role === "token_embd" ? (head?.sources ?? []) : [];
    const names = [...bound.sources, ...spare]
      .map((each) => each.map(find))
      .find((each) => each.some(Boolean));
    const from = names?.filter((each) => each !== undefined) ?? [];
    for (const each of from) used.add(each);
    if (names !== undefined && from.length === names.length) {
      const sources = from.map((each) => container.tensors.get(each)!);
      const tensor = sourcedTensor(asSaved(bound, container), from, sources, hparams, transforms?.[row.role]);
      tensors.push({ ...tensor, steps: [...tensor.steps, ...(steps?.get(row.role) ?? [])] });
    } else if (row.optional === undefined || names !== undefined) {
      missing.push(...bound.sources[0]!.filter((_, i) => names?.[i] === undefined));
    }
  }
  const where = container.files[0] ?? t`the checkpoint`;
  if (missing.length > 0) throw missingFrom(container, architecture, missing);
  const ignored = new Set(architecture.ignored.flatMap((each) => numbered(each, "{i}", hparams.blockCount)));
  const prefix = basePrefix(architecture);
  const unknown = [...container.tensors.keys()].filter(
    (name) => !used.has(name) && !ignored.has(name) && !ignored.has(prefix + name),
  );
  const rest = unknown.filter((name) => !isZeroBias(container, name, used));
  if (rest.length > 0) throw unknownTensors(where, architecture, rest);
  return tensors;
}

/**
 * Whether a tied model's output is its embedding. A checkpoint may hold another all the same, as merging an adapter of
 * the head leaves it; then that one counts, whatever the configuration says, as in transformers 5 and llama.cpp.
 */
function isEmbedding(
  { sources }: Bound,
  container: Container,
  find: (name: string) => string | undefined,
  tensors: readonly Tensor[],
): boolean {
  const name = sources.map(([from]) => find(from!)).find((each) => each !== undefined);
  const embedding = tensors.find(({ role }) => role === "token_embd")?.sources[0];
  if (name === undefined || embedding === undefined) return true;
  return isSameTensor(container, embedding, container.tensors.get(name)!);
}

/** What the checkpoint calls a tensor, with the family's prefix or without; undefined when it has none. */
function foundName(architecture: Architecture, { tensors }: Container, name: string): string | undefined {
  if (tensors.has(name)) return name;
  const prefix = basePrefix(architecture);
  const bare = name.startsWith(prefix) ? name.slice(prefix.length) : name;
  return tensors.has(bare) ? bare : undefined;
}

/** The row without what mlx-lm did before it saved the tensor. */
function asSaved(bound: Bound, { ofMlx }: Container): Bound {
  return ofMlx === true && bound.row.doneByMlx === true
    ? { ...bound, row: { ...bound.row, steps: [] } }
    : bound;
}

/** A tensor of a checkpoint as GGUF has it. */
function sourcedTensor(
  { row, layer, name }: Bound,
  names: readonly string[],
  stored: readonly TensorSource[],
  hparams: HParams,
  transform = row.transform,
): Tensor {
  const shape = shapeOf(row, hparams, layer);
  const part = row.part?.(hparams, layer);
  const isShort = row.padded === true && stored[0]!.shape[0]! < shape[0]!;
  const rows = isShort ? stored[0]!.shape[0]! : part?.rows;
  const whole = rows === undefined ? shape : [rows, ...shape.slice(1)];
  const expected = [row.source ?? []].flat().some((source) => source.includes("{e}"))
    ? whole.slice(1)
    : whole;
  const sources = stored.map((source, i) =>
    laidOut(row, names[i]!, source, expected, (each) => dimension(each, hparams, layer)),
  );
  const odd = stored.find(({ dtype }) => dtype !== stored[0]!.dtype);
  if (odd !== undefined) {
    throw badInput(
      t`tensor ${names[stored.indexOf(odd)]} is ${odd.dtype}, but ${names[0]} is ${stored[0]!.dtype}`,
    );
  }
  return {
    ...storedWhole(sources[0]!),
    name,
    role: row.role,
    layer,
    shape,
    sources,
    ranges: isShort
      ? [{ source: 0, first: 0, count: shape[0]! }]
      : part?.ranges.map((range) => ({ source: 0, ...range })),
    transforms: transform === undefined ? [] : [transform(hparams, layer)],
    steps: typeof row.steps === "function" ? row.steps(hparams) : (row.steps ?? []),
  };
}

/** The source as rows and columns of the expected shape. */
function laidOut(
  { transposed: isTransposed, storedShape, view }: TensorRow,
  name: string,
  source: TensorSource,
  expected: readonly number[],
  lengthOf: (name: Dimension) => number,
): TensorSource {
  if (view !== undefined) return ofShape(name, view(name, source, expected), expected);
  if (isTransposed) {
    checkShape(name, source, expected.toReversed());
    return transposed(source);
  }
  if (storedShape === undefined) return ofShape(name, source, expected);
  checkShape(name, source, storedShape.map(lengthOf));
  if (source.coded !== undefined && expected.at(-1) !== rowLength(source)) {
    throw new LlqError("unsupported", t`tensor ${name} is packed, and other rows are cut from it`);
  }
  if (source.strides !== undefined) {
    throw new LlqError("unsupported", t`tensor ${name} is a view whose elements are not in order`, {
      hint: t`call contiguous() on it in PyTorch and save the state dict again`,
    });
  }
  return { ...source, shape: expected };
}

/**
 * Of architectures with one name, that whose tensors a GGUF file has, and the tensors: writers may fuse what others do not,
 * as llama.cpp's converter does when asked to (`--fuse-qkv`), in some blocks or in all. The first, when the file has those of
 * none.
 */
export function chooseForGguf(
  candidates: readonly Architecture[],
  hparams: HParams,
  stored: Container,
): { architecture: Architecture; container: Container } {
  const isComplete = (architecture: Architecture, { tensors }: Container) =>
    expand(architecture, hparams).every((bound) => isDispensable(bound) || tensors.has(bound.name));
  const forms = candidates.flatMap((each) => [each, withExpertsApart(each)]);
  for (const architecture of forms.flatMap((each) => [each, withFusedQkv(each)])) {
    if (isComplete(architecture, stored)) return { architecture, container: stored };
  }
  for (const architecture of forms.map(withApartQkv)) {
    const rows = expand(architecture, hparams).filter(({ row }) => APART_QKV.has(row.role));
    const container = withQkvApart(
      stored,
      rows.map(({ row, layer, name }) => ({ name, shape: shapeOf(row, hparams, layer) })),
    );
    if (isComplete(architecture, container)) return { architecture, container };
  }
  return { architecture: candidates[0]!, container: stored };
}

function isDispensable({ row }: Bound): boolean {
  return row.optional === true || row.role === "output";
}

/**
 * The model's tensors out of a GGUF file, in file order.
 * @throws LlqError `bad-input` naming the tensors that are missing, unknown or of another shape
 */
export function bindGguf(architecture: Architecture, hparams: HParams, container: Container): Tensor[] {
  const rows = new Map(expand(architecture, hparams).map((bound) => [bound.name, bound]));
  const where = container.files[0]!;
  const tensors: Tensor[] = [];
  const unknown: string[] = [];
  for (const [name, source] of container.tensors) {
    const bound = rows.get(name);
    if (bound === undefined) unknown.push(name);
    else tensors.push(storedTensor(bound, source, shapeOf(bound.row, hparams, bound.layer)));
  }
  if (unknown.length > 0) throw unknownTensors(where, architecture, unknown);
  const missing = [...rows.values()].filter(
    (bound) => !isDispensable(bound) && !container.tensors.has(bound.name),
  );
  if (missing.length > 0)
    throw missingTensors(
      where,
      missing.map(({ name }) => name),
      container.files.length > 1,
    );
  return tensors;
}

/** The rows of an architecture's table, block by block, in the order GGUF has them. */
export function expand(architecture: Architecture, hparams: HParams): Bound[] {
  const { blockCount } = hparams;
  const exists = ({ when }: TensorRow, layer?: number) => when?.(hparams, layer) ?? true;
  const isOfBlocks = ({ name }: TensorRow) => name.includes("{i}");
  const named = new Set(architecture.tensors.map(({ name }) => name));
  const rows = [...architecture.tensors, ...ropeDivisors.filter(({ name }) => !named.has(name))];
  const all = rows.filter((row) => !isOfBlocks(row) && exists(row));
  const blocks = architecture.tensors.filter(isOfBlocks);
  const before = all.filter(({ role }) => BEFORE_BLOCKS.has(role));
  const after = all.filter((row) => !before.includes(row));
  const bind = (row: TensorRow, layer?: number): Bound => ({
    row,
    layer,
    name: row.name.replace("{i}", String(layer)),
    sources: [row.source ?? []].flat().map((source) => {
      const name = source.replace("{i}", String(layer));
      return name.includes("{e}") ? numbered(name, "{e}", dimension(row.shape[0]!, hparams, layer)) : [name];
    }),
  });
  const inBlocks = Array.from({ length: blockCount }, (_, layer) =>
    blocks.filter((row) => exists(row, layer)).map((row) => bind(row, layer)),
  );
  return [...before.map((row) => bind(row)), ...inBlocks.flat(), ...after.map((row) => bind(row))];
}

/** The lengths that a row's dimensions have here. */
export function shapeOf(row: TensorRow, hparams: HParams, layer: number | undefined): number[] {
  return row.shape.map((name) => dimension(name, hparams, layer));
}

function checkShape(name: string, { shape }: TensorSource, expected: readonly number[]): void {
  if (shape.join() === expected.join()) return;
  const message = t`tensor ${name} is ${shape.join(" x ")}; the configuration asks for ${expected.join(" x ")}`;
  throw badInput(message, t`the checkpoint and its configuration do not belong together`);
}

function ofShape(name: string, source: TensorSource, expected: readonly number[]): TensorSource {
  checkShape(name, source, expected);
  return source;
}

/** To ggml, a vector and a matrix of one row are one, and so on: files leave out outer dimensions of one, or have them. */
function storedTensor({ row, layer, name }: Bound, stored: TensorSource, shape: number[]): Tensor {
  const plain = (lengths: readonly number[]) => lengths.join().replace(/^(1,)+/, "");
  const isSame = plain(stored.shape) === plain(shape);
  const source = isSame ? { ...stored, shape } : stored;
  checkShape(name, source, shape);
  return { ...storedWhole(source), name, role: row.role, layer, shape };
}

/** A tensor that no file holds. */
export function computedTensor(
  { row, layer, name }: Pick<Bound, "row" | "layer" | "name">,
  shape: number[],
  values: readonly number[],
): Tensor {
  const stored = { sources: [], joined: "rows", ranges: undefined, transforms: [], steps: [] } as const;
  return { name, role: row.role, layer, shape, dtype: "F32", ...stored, values };
}
