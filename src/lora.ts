import type { TensorSource } from "../formats/container.js";
import { badInput, LlqError } from "../formats/errors.js";
import { type Adapter, type Change, openAdapter } from "./arch/adapter/adapter.js";
import { changesOfEnds, type NamedChange } from "./arch/adapter/ends.js";
import { withColumnLengths } from "./arch/checkpoint/column-lengths.js";
import { basePrefix } from "./arch/checkpoint/names.js";
import { t } from "./language/t.js";
import type { Model } from "./model.js";
import { baseOf, type SumCoding } from "./rows/packed/sum.js";
import { transposed } from "./rows/transposed.js";
import type { Tensor } from "./tensor.js";

/** An adapter to merge, and how much of it. */
export interface Lora {
  readonly folder: string;
  readonly scale: number;
}

/** Reads `<folder>` or `<folder>=<scale>`. @throws LlqError `usage` */
export function parseLora(text: string): Lora {
  const [, folder, scale = "1"] = /^(.*?)(?:=([^=/]*))?$/s.exec(text)!;
  if (folder === "" || scale.trim() === "" || !Number.isFinite(Number(scale))) {
    throw new LlqError("usage", t`--lora ${text}: a folder and perhaps a number are needed`, {
      hint: t`--lora ./adapter, or --lora ./adapter=0.5`,
    });
  }
  return { folder: folder!, scale: Number(scale) };
}

/**
 * The model with adapters merged: W + scale × (alpha / r) × B A for every module that one names (alpha / √r for
 * rsLoRA), in f32, and whole tensors that it trained in place of the model's. Reads no weights: a tensor says what is
 * added to its rows.
 * @throws LlqError as openAdapter; `bad-input` when an adapter has a tensor that the model has not by that name, or
 * of another shape; `unsupported` when a tensor can only be changed in part
 */
export function withLora(model: Model, loras: readonly Lora[]): Model {
  return loras.reduce((merged, { folder, scale }) => merge(merged, openAdapter(folder), scale), model);
}

function merge(model: Model, adapter: Adapter, scale: number): Model {
  const { files, tensors } = model.container;
  const stored = new Map([...tensors].map(([name, source]) => [placeOf(source), { name, source }]));
  const ends = changesOfEnds(model.architecture, model.tensors, adapter);
  const used = new Set<string>(ends.names);
  const merged = ends.tensors.map((tensor) => {
    const end = ends.changes.get(tensor);
    if (end !== undefined) {
      const [source] = tensor.sources as [TensorSource];
      checkVocabulary(adapter, end, source);
      const change = relocated(end.change, files.length);
      return withSources(tensor, [changed(adapter, end.name, { source, stored: source }, change, scale)]);
    }
    const sources = tensor.sources.map((source) => {
      const { name, source: whole = source } = stored.get(placeOf(source)) ?? {};
      const known = name && nameInAdapter(model, adapter, name);
      if (known === undefined || ends.names.includes(known)) return source;
      if (used.has(known) && stored.size < tensors.size) throw shared(model, known);
      used.add(known);
      const change = relocated(adapter.changes.get(known)!, files.length);
      return changed(adapter, known, { source, stored: whole }, change, scale);
    });
    return sources.every((source, i) => source === tensor.sources[i]) ? tensor : withSources(tensor, sources);
  });
  const unknown = [...adapter.changes.keys()].filter((name) => !used.has(name));
  if (unknown.length > 0) throw unmatched(model, adapter, unknown);
  const container = { ...model.container, files: [...files, ...adapter.files] };
  return { ...model, container, tensors: withColumnLengths(merged, container) };
}

/** A source's place, which layout and order do not change. */
function placeOf({ file, offset }: TensorSource): string {
  return `${file}:${offset}`;
}

/** What the adapter calls a tensor it changes: in the checkpoint the prefix of the family's modules may be missing. */
function nameInAdapter({ architecture }: Model, { changes }: Adapter, name: string): string | undefined {
  return [name, basePrefix(architecture) + name].find((each) => changes.has(each));
}

function relocated({ by, add, ...change }: Change, firstFile: number): Change {
  const moved = (source: TensorSource) => ({ ...source, file: source.file + firstFile });
  return {
    ...change,
    ...(by && { by: moved(by) }),
    ...(add && { add: { ...add, a: moved(add.a), b: moved(add.b) } }),
  };
}

/** @throws LlqError `unsupported` for an adapter of a model whose vocabulary was made another size */
function checkVocabulary({ folder }: Adapter, { name, change }: NamedChange, { shape }: TensorSource): void {
  const rows = change.by?.shape[0] ?? change.add?.b.shape[0];
  const columns = change.by?.shape[1] ?? change.add?.a.shape[1];
  if (rows === undefined || rows === shape[0] || columns !== shape[1]) return;
  const message = t`${folder}: ${name} is of a vocabulary of ${rows} tokens, the model's has ${shape[0]}`;
  throw new LlqError("unsupported", message, {
    hint: t`resize the embedding of the base and merge the adapter with PEFT`,
  });
}

function changed(
  adapter: Adapter,
  name: string,
  { source, stored }: { readonly source: TensorSource; readonly stored: TensorSource },
  { by, add }: Change,
  scale: number,
): TensorSource {
  // PEFT turns what it adds where a module has its matrix transposed (Conv1D), whatever the adapter says of it; a whole
  // matrix is as the module has it.
  const isTurned = stridesOf(stored) !== stridesOf(source);
  const whole = by && (isTurned ? transposed(by) : by);
  const shapes = [whole?.shape, add && [add.b.shape[0], add.a.shape[1]]].filter((each) => each !== undefined);
  const odd = shapes.find((shape) => shape.join() !== source.shape.join());
  if (odd !== undefined) {
    throw badInput(
      t`${adapter.folder}: ${name} is ${odd.join(" x ")}, in the model ${source.shape.join(" x ")}`,
      t`is it an adapter of another model?`,
    );
  }
  const base = whole ?? source;
  return add === undefined ? base : sum(base, { ...add, scale: Math.fround(add.scale * scale) });
}

/** It has its base's place, by which an adapter after this one finds it. */
function sum(base: TensorSource, add: NonNullable<Change["add"]>): TensorSource {
  const { file, offset, byteLength, shape } = base;
  const coded: SumCoding = { kind: "sum", base, ...add };
  return { file, offset, byteLength, shape, dtype: "F32", coded };
}

/** Those of the matrix itself, whatever is added to it. */
function stridesOf(source: TensorSource): string {
  const { strides, shape } = baseOf(source);
  return (strides ?? [shape.at(-1)!, 1]).slice(-2).join();
}

function withSources(tensor: Tensor, sources: readonly TensorSource[]): Tensor {
  const dtype = sources[0]!.dtype;
  if (sources.every((source) => source.dtype === dtype)) return { ...tensor, sources, dtype };
  throw new LlqError(
    "unsupported",
    t`tensor ${tensor.name}: the adapter changes some of its parts and not others`,
    {
      hint: t`merge the adapter with PEFT`,
    },
  );
}

function shared({ path }: Model, name: string): LlqError {
  return new LlqError(
    "unsupported",
    t`${path}: ${name} is stored once for two tensors, of which the adapter changes one`,
    {
      hint: t`merge the adapter with PEFT`,
    },
  );
}

function unmatched(model: Model, { folder }: Adapter, names: readonly string[]): LlqError {
  const shown = names.slice(0, 5).join(", ");
  const more = names.length > 5 ? t` and ${names.length - 5} more` : "";
  const hasOwnNames = model.folder === undefined;
  return badInput(
    t`${folder}: ${names.length} tensors of the adapter are not in the model: ${shown}${more}`,
    hasOwnNames
      ? t`--lora takes the Hugging Face checkpoint that the adapter was trained on, whose names it goes by`
      : t`is it an adapter of another model?`,
  );
}
