import { existsSync, join } from "#host/files";
import type { Container, TensorSource } from "../../../formats/container.js";
import { badInput } from "../../../formats/errors.js";
import { openContainer } from "../../../formats/open.js";
import { t } from "../../language/t.js";
import { transposed } from "../../rows/transposed.js";
import { type AdapterConfig, isSavedWhole, patternValue, readAdapterConfig } from "./config.js";

/** What an adapter does to one tensor of its base: takes another for it, and adds scale × b a. */
export interface Change {
  readonly by?: TensorSource;
  /** What is taken for it is the base's own tensor as it was saved: of tied tensors, both. */
  readonly isBase?: boolean;
  readonly add?: { readonly b: TensorSource; readonly a: TensorSource; readonly scale: number };
}

/** A LoRA adapter as PEFT saves it. Plain data. */
export interface Adapter {
  readonly folder: string;
  readonly files: readonly string[];
  /** By the name of the base's tensor; sources count from the adapter's first file. */
  readonly changes: ReadonlyMap<string, Change>;
  /** Of a base whose output is the embedding: they stay one, and what changes the embedding changes the output. */
  readonly keepsTied: boolean;
}

const WEIGHTS = ["adapter_model.safetensors", "adapter_model.bin"];
const PREFIX = "base_model.model.";

/**
 * Opens the folder of an adapter: adapter_config.json and adapter_model.safetensors (or .bin).
 * @throws LlqError `bad-input` when a part is missing or does not fit, `unsupported` for adapters other than LoRA
 */
export function openAdapter(folder: string): Adapter {
  const file = join(folder, "adapter_config.json");
  const config = readAdapterConfig(file);
  const weights = WEIGHTS.map((name) => join(folder, name)).find((path) => existsSync(path));
  if (weights === undefined) throw badInput(t`${folder}: no weights here; looked for ${WEIGHTS.join(", ")}`);
  const container = openContainer(weights);
  const changes = changesOf(file, config, container);
  return { folder, files: container.files, changes, keepsTied: config.ensure_weight_tying === true };
}

/** lora_A and lora_B of a linear layer; of an embedding they have another name and the weight is their product's transpose. */
const FACTORS = /^(.*)\.lora_(?:(embedding)_)?([AB])(?:\.weight)?$/;

function changesOf(file: string, config: AdapterConfig, container: Container): Map<string, Change> {
  const where = container.files[0]!;
  const changes = new Map<string, Change>();
  for (const [stored, source] of container.tensors) {
    if (!stored.startsWith(PREFIX)) {
      throw badInput(
        t`${where}: tensor ${stored} does not begin with ${PREFIX}`,
        t`is it an adapter of PEFT?`,
      );
    }
    const [, module, embedding, factor] = FACTORS.exec(stored.slice(PREFIX.length)) ?? [];
    if (module === undefined) {
      // An embedding that the adapter was saved with, perhaps of more tokens, is the base layer of its module.
      const name = stored.slice(PREFIX.length).replace(".base_layer.", ".");
      const isBase = !isSavedWhole(config, name.replace(/\.[^.]*$/, ""));
      changes.set(name, { ...changes.get(name), by: source, isBase });
      continue;
    }
    const other = container.tensors.get(otherFactor(stored, factor!));
    if (other === undefined)
      throw badInput(t`${where}: tensor ${stored} has no ${otherFactor(stored, factor!)}`);
    if (factor === "B") continue;
    const name = `${module}.weight`;
    const add = added(file, config, module, [other, source], embedding !== undefined);
    changes.set(name, { ...changes.get(name), add });
  }
  if (changes.size === 0) throw badInput(t`${where}: no tensors`, t`is it an adapter of PEFT?`);
  return changes;
}

function otherFactor(name: string, factor: string): string {
  const at = name.lastIndexOf(`_${factor}`) + 1;
  return `${name.slice(0, at)}${factor === "A" ? "B" : "A"}${name.slice(at + 1)}`;
}

function added(
  file: string,
  config: AdapterConfig,
  module: string,
  [b, a]: readonly [TensorSource, TensorSource],
  isEmbedding: boolean,
): NonNullable<Change["add"]> {
  const rank = patternValue(file, config.rank_pattern, module) ?? config.r;
  const alpha = patternValue(file, config.alpha_pattern, module) ?? config.lora_alpha;
  if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[0] !== rank || b.shape[1] !== rank) {
    throw badInput(
      t`${file}: rank ${rank}, but ${module} has A of ${a.shape.join(" x ")} and B of ${b.shape.join(" x ")}`,
    );
  }
  const scale = alpha / (config.use_rslora === true ? Math.sqrt(rank) : rank);
  // (b a)' is a' b'
  return isEmbedding ? { b: transposed(a), a: transposed(b), scale } : { b, a, scale };
}
