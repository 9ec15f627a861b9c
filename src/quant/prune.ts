import type { Metadata, MetaField } from "../../formats/container.js";
import { LlqError } from "../../formats/errors.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import type { Imatrix } from "../../formats/imatrix/imatrix.js";
import { renumbered } from "../arch/names.js";
import { t } from "../language/t.js";
import type { Model } from "../model.js";

/** Reads a list of layers such as `3,5,20-23`. @throws LlqError `usage` */
export function parseLayers(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    const count = Number(last ?? first) - Number(first) + 1;
    if (!(count > 0)) {
      throw new LlqError("usage", t`--prune-layers ${text}: ${part} is no layer and no range of layers`, {
        hint: "--prune-layers 3,5,20-23",
      });
    }
    return Array.from({ length: count }, (_, i) => Number(first) + i);
  });
}

/**
 * The model and its importance matrix without some of the layers; those after them move up.
 * @throws LlqError `usage` for a layer that the model does not have, or when none would be left
 */
export function pruneLayers(
  model: Model,
  imatrix: Imatrix | undefined,
  layers: readonly number[],
): [Model, Imatrix | undefined] {
  if (layers.length === 0) return [model, imatrix];
  const { blockCount } = model.hparams;
  const unknown = layers.find((layer) => layer >= blockCount);
  if (unknown !== undefined) {
    throw new LlqError(
      "usage",
      t`layer ${unknown} cannot be pruned: there are layers 0 to ${blockCount - 1}`,
      {
        hint: t`--prune-layers takes such numbers and ranges: ${Math.max(0, blockCount - 2)}-${blockCount - 1}`,
      },
    );
  }
  const kept = Array.from({ length: blockCount }, (_, i) => i).filter((layer) => !layers.includes(layer));
  if (kept.length === 0) throw new LlqError("usage", t`no layer would be left`);
  const places = new Map(kept.map((layer, place) => [layer, place]));
  const tensors = model.tensors.flatMap((tensor) => {
    const name = renumbered(tensor.name, places);
    if (name === undefined) return [];
    return { ...tensor, name, layer: tensor.layer === undefined ? undefined : places.get(tensor.layer) };
  });
  const pruned: Model = {
    ...model,
    hparams: { ...model.hparams, blockCount: kept.length },
    metadata: withoutLayers(model.metadata, model.architecture.name, blockCount, kept),
    tensors,
  };
  return [pruned, imatrix && withoutEntries(imatrix, places)];
}

/** The block count, and the values of those keys that have one a layer. */
function withoutLayers(
  metadata: Metadata,
  architecture: string,
  blockCount: number,
  kept: readonly number[],
): Metadata {
  const result = new Map<string, MetaField>();
  for (const [key, field] of metadata) {
    const { type, item, value } = field;
    const isPerLayer =
      key.startsWith(`${architecture}.`) && Array.isArray(value) && value.length === blockCount;
    if (!isPerLayer) result.set(key, field);
    else result.set(key, { type, item: item!, value: kept.map((layer) => value[layer]!) });
  }
  return result.set(`${architecture}.block_count`, meta.u32(kept.length));
}

function withoutEntries(imatrix: Imatrix, places: ReadonlyMap<number, number>): Imatrix {
  const entries = [...imatrix.entries].flatMap(([name, values]): [string, Float32Array][] => {
    const moved = renumbered(name, places);
    return moved === undefined ? [] : [[moved, values]];
  });
  return { ...imatrix, entries: new Map(entries) };
}
