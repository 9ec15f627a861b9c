import type { TensorSource } from "../formats/container.js";
import { badInput, LlqError } from "../formats/errors.js";
import { type Adapter, type Change, openAdapter } from "./arch/adapter.js";
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
    throw new LlqError("usage", `--lora ${text}: a folder and perhaps a number are needed`, {
      hint: "--lora ./adapter, or --lora ./adapter=0.5",
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
  const used = new Set<string>();
  const merged = model.tensors.map((tensor) => {
    const sources = tensor.sources.map((source) => {
      const { name, source: whole = source } = stored.get(placeOf(source)) ?? {};
      const known = name && nameInAdapter(model, adapter, name);
      if (known === undefined) return source;
      if (used.has(known) && stored.size < tensors.size) throw shared(model, known);
      used.add(known);
      const change = relocated(adapter.changes.get(known)!, files.length);
      return changed(adapter, known, { source, stored: whole }, change, scale);
    });
    return sources.every((source, i) => source === tensor.sources[i]) ? tensor : withSources(tensor, sources);
  });
  const unknown = [...adapter.changes.keys()].filter((name) => !used.has(name));
  if (unknown.length > 0) throw unmatched(model, adapter, unknown);
  return {
    ...model,
    container: { ...model.container, files: [...files, ...adapter.files] },
    tensors: merged,
  };
}

/** A source's place, which layout and order do not change. */
function placeOf({ file, offset }: TensorSource): string {
  return `${file}:${offset}`;
}

/** What the adapter calls a tensor it changes: in the checkpoint the prefix of the family's modules may be missing. */
function nameInAdapter(
  { architecture: { prefix = "" } }: Model,
  { changes }: Adapter,
  name: string,
): string | undefined {
  return [name, prefix + name].find((each) => changes.has(each));
}

function relocated({ by, add }: Change, firstFile: number): Change {
  const moved = (source: TensorSource) => ({ ...source, file: source.file + firstFile });
  return {
    ...(by && { by: moved(by) }),
    ...(add && { add: { ...add, a: moved(add.a), b: moved(add.b) } }),
  };
}

function changed(
  adapter: Adapter,
  name: string,
  { source, stored }: { readonly source: TensorSource; readonly stored: TensorSource },
  { by, add }: Change,
  scale: number,
): TensorSource {
  // The model may see the stored matrix transposed, and the adapter is of the stored one.
  const isTurned = stridesOf(stored) !== stridesOf(source);
  const before = isTurned ? transposed(source) : source;
  const shapes = [by?.shape, add && [add.b.shape[0], add.a.shape[1]]].filter((shape) => shape !== undefined);
  const odd = shapes.find((shape) => shape.join() !== before.shape.join());
  if (odd !== undefined) {
    throw badInput(
      `${adapter.folder}: ${name} is ${odd.join(" x ")}, in the model ${before.shape.join(" x ")}`,
      "is it an adapter of another model?",
    );
  }
  const base = by ?? before;
  const result = add === undefined ? base : sum(base, { ...add, scale: Math.fround(add.scale * scale) });
  return isTurned ? transposed(result) : result;
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
    `tensor ${tensor.name}: the adapter changes some of its parts and not others`,
    {
      hint: "merge the adapter with PEFT",
    },
  );
}

function shared({ path }: Model, name: string): LlqError {
  return new LlqError(
    "unsupported",
    `${path}: ${name} is stored once for two tensors, of which the adapter changes one`,
    {
      hint: "merge the adapter with PEFT",
    },
  );
}

function unmatched(model: Model, { folder }: Adapter, names: readonly string[]): LlqError {
  const shown = names.slice(0, 5).join(", ");
  const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
  const hasOwnNames = model.folder === undefined;
  return badInput(
    `${folder}: ${names.length} tensors of the adapter are not in the model: ${shown}${more}`,
    hasOwnNames
      ? "--lora takes the Hugging Face checkpoint that the adapter was trained on, whose names it goes by"
      : "is it an adapter of another model?",
  );
}
