import type { Container, TensorSource } from "../../formats/container.js";
import { badInput } from "../../formats/errors.js";
import { storedWhole, type Tensor } from "../tensor.js";
import { type Architecture, dimension, type TensorRow } from "./architecture.js";
import type { HfConfig } from "./config.js";
import type { HParams } from "./hparams.js";

/** A row of the architecture's table for one block. */
interface Bound {
  readonly row: TensorRow;
  readonly layer: number | undefined;
  readonly name: string;
  readonly source: string | undefined;
}

/**
 * The model's tensors out of a Hugging Face checkpoint, in the order of the architecture's table.
 * @throws LlqError `bad-input` naming the tensors that are missing, unknown or of another shape
 */
export function bindHuggingFace(
  architecture: Architecture,
  hparams: HParams,
  container: Container,
  config: HfConfig,
): Tensor[] {
  const computed = architecture.computed(config);
  const tied = config.tie_word_embeddings === true;
  const used = new Set<string>();
  const missing: string[] = [];
  const tensors: Tensor[] = [];
  const rows = expand(architecture, hparams);
  const head = rows.find(({ row }) => row.role === "output")?.source;
  for (const bound of rows) {
    const { row, name } = bound;
    if (row.source === undefined) {
      const values = computed.get(name);
      if (values !== undefined) tensors.push(computedTensor(bound, shapeOf(row, hparams), values));
      continue;
    }
    let from = bound.source!;
    if (tied && row.role === "output") {
      used.add(from); // GGUF leaves the output of a tied model out; loaders take the embedding
      continue;
    }
    // Writers of tied checkpoints keep one of the two names, and not all keep the same.
    if (tied && row.role === "token_embd" && !container.tensors.has(from)) from = head!;
    const source = container.tensors.get(from);
    if (source !== undefined) {
      used.add(from);
      tensors.push(
        storedTensor(bound, from, shapeOf(row, hparams), source, row.transform && [row.transform(hparams)]),
      );
    } else if (row.optional === undefined) {
      missing.push(from);
    }
  }
  const where = container.files[0] ?? "the checkpoint";
  if (missing.length > 0) throw missingTensors(where, missing);
  const ignored = new Set(architecture.ignored.flatMap((pattern) => numbered(pattern, hparams.blockCount)));
  const unknown = [...container.tensors.keys()].filter((name) => !used.has(name) && !ignored.has(name));
  if (unknown.length > 0) throw unknownTensors(where, architecture, unknown);
  return tensors;
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
    else tensors.push(storedTensor(bound, name, shapeOf(bound.row, hparams), source));
  }
  if (unknown.length > 0) throw unknownTensors(where, architecture, unknown);
  const missing = [...rows.values()].filter(
    ({ name, row }) => row.optional === undefined && row.role !== "output" && !container.tensors.has(name),
  );
  if (missing.length > 0)
    throw missingTensors(
      where,
      missing.map(({ name }) => name),
    );
  return tensors;
}

function expand(architecture: Architecture, hparams: HParams): Bound[] {
  const { blockCount } = hparams;
  const all = architecture.tensors.filter(({ name }) => !name.includes("{i}"));
  const blocks = architecture.tensors.filter(({ name }) => name.includes("{i}"));
  const before = all.filter(({ role }) => role === "token_embd" || role === "rope_freqs");
  const after = all.filter((row) => !before.includes(row));
  const bind = (row: TensorRow, layer?: number): Bound => ({
    row,
    layer,
    name: row.name.replace("{i}", String(layer)),
    source: row.source?.replace("{i}", String(layer)),
  });
  const inBlocks = Array.from({ length: blockCount }, (_, layer) => blocks.map((row) => bind(row, layer)));
  return [...before.map((row) => bind(row)), ...inBlocks.flat(), ...after.map((row) => bind(row))];
}

function numbered(pattern: string, blockCount: number): string[] {
  return Array.from({ length: blockCount }, (_, i) => pattern.replace("{i}", String(i)));
}

function shapeOf(row: TensorRow, hparams: HParams): number[] {
  return row.shape.map((name) => dimension(name, hparams));
}

function storedTensor(
  { row, layer, name }: Bound,
  storedName: string,
  shape: number[],
  source: TensorSource,
  transforms: Tensor["transforms"] = [],
): Tensor {
  if (source.shape.join() !== shape.join()) {
    const message = `tensor ${storedName} is ${source.shape.join(" x ")}; the configuration asks for ${shape.join(" x ")}`;
    throw badInput(message, "the checkpoint and its configuration do not belong together");
  }
  return { name, role: row.role, layer, shape, ...storedWhole(source), transforms };
}

function computedTensor({ row, layer, name }: Bound, shape: number[], values: readonly number[]): Tensor {
  return {
    name,
    role: row.role,
    layer,
    shape,
    dtype: "F32",
    sources: [],
    joined: "rows",
    ranges: undefined,
    transforms: [],
    steps: [],
    values,
  };
}

function missingTensors(where: string, names: readonly string[]) {
  return badInput(`${where}: ${names.length} tensors are missing: ${listed(names)}`, "is a shard missing?");
}

function unknownTensors(where: string, architecture: Architecture, names: readonly string[]) {
  return badInput(`${where}: ${names.length} tensors are no part of ${architecture.name}: ${listed(names)}`);
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
