import { basename, dirname, existsSync, join, resolve, statSync } from "#host/files";
import { listFolder, readSmallFile } from "../formats/bytes.js";
import type { Container, Metadata, MetaField } from "../formats/container.js";
import { badInput, type LlqError } from "../formats/errors.js";
import { meta } from "../formats/gguf/gguf-write.js";
import { meantBy } from "../formats/inputs.js";
import { parseJson } from "../formats/json.js";
import { openContainer } from "../formats/open.js";
import type { Architecture, HfModel } from "./arch/architecture.js";
import { bindGguf, bindHuggingFace, chooseForGguf } from "./arch/bind.js";
import { withColumnLengths } from "./arch/checkpoint/column-lengths.js";
import { fromFlax } from "./arch/checkpoint/flax.js";
import { usualForms } from "./arch/checkpoint/gguf-forms.js";
import { withScales } from "./arch/checkpoint/gguf-scales.js";
import { layerNumberKeys } from "./arch/checkpoint/layer-numbers.js";
import { withoutMlxForm } from "./arch/checkpoint/mlx-form.js";
import { withoutMultiToken } from "./arch/checkpoint/multi-token.js";
import { withoutWrappers } from "./arch/checkpoint/names.js";
import { withoutOtherParts } from "./arch/checkpoint/other-parts.js";
import { withoutStacks } from "./arch/checkpoint/stacked-experts.js";
import { textConfig } from "./arch/checkpoint/text-config.js";
import { type HParams, readHParams } from "./arch/hparams.js";
import { architectureOfConfig, architecturesOfGguf } from "./arch/index.js";
import { bindMeta, findRelease, findTraining, joinShards, type MetaCheckpoint } from "./arch/meta/meta.js";
import { unheardKeys } from "./arch/numbers/unheard.js";
import { generalKeys } from "./card/general.js";
import { t } from "./language/t.js";
import { withQuantConfig } from "./rows/packed/beside.js";
import { unpackWeights } from "./rows/packed/index.js";
import type { Tensor } from "./tensor.js";
import {
  readLlama2cVocab,
  readVocab,
  type Vocab,
  vocabFromMetadata,
  vocabToMetadata,
} from "./tokenizer/vocab.js";

/** A checkpoint whose tensors have a meaning. Plain data: nothing is open. */
export interface Model {
  /** What the user called it. */
  readonly path: string;
  /** The folder of a Hugging Face checkpoint; undefined for GGUF. */
  readonly folder: string | undefined;
  readonly container: Container;
  readonly architecture: Architecture;
  readonly hparams: HParams;
  readonly vocab: Vocab;
  /** What a GGUF of this model says of it, in the order it says it; for a GGUF, what it does say. */
  readonly metadata: Metadata;
  readonly tensors: readonly Tensor[];
  /** What a user should know of how the checkpoint was read. */
  readonly remarks: readonly string[];
}

/**
 * Opens a model: a file of GGUF or llama2.c, a Hugging Face folder or the weights in it, Meta's folder or a training
 * checkpoint. Finds where every tensor is and what it is for. Reads headers only, no weights.
 * @throws LlqError `bad-input` for a damaged, incomplete or inconsistent model, `unsupported` for an unknown one
 */
export function openModel(path: string): Model {
  if (!existsSync(path)) throw noSuchModel(path);
  const release = findRelease(path);
  if (release !== undefined) return openMeta(path, release);
  if (statSync(path).isDirectory()) return openHuggingFace(path, path);
  const container = openContainer(path);
  if (container.format === "gguf" || container.format === "llama2.c") return openDescribed(path, container);
  const training = findTraining(path, container);
  return training === undefined ? openHuggingFace(path, dirname(path), container) : openMeta(path, training);
}

/** Names of the Hub's repositories look like paths, and its pages are named after them. */
export function noSuchModel(path: string): LlqError {
  const [, name] =
    /^(?:https?:\/\/(?:huggingface\.co|hf\.co)\/)?([\w-][\w.-]*\/[\w.-]+)\/?$/.exec(path) ?? [];
  const hint = name && t`did you mean hf:${name}, which is fetched from the Hugging Face Hub?`;
  return badInput(t`${path}: no such file or folder`, hint ?? meantBy(path));
}

/** A container whose own metadata describes the model, with GGUF's keys. */
function openDescribed(path: string, opened: Container): Model {
  const container = withoutMultiToken(opened);
  const metadata = container.format === "llama2.c" ? describeLlama2c(path, container) : container.metadata;
  return {
    path,
    folder: undefined,
    container,
    ...describedTensors(path, container, metadata),
    vocab: vocabFromMetadata(path, metadata),
    metadata,
    remarks: unsplit(path, metadata),
  };
}

/** Says when a GGUF does not tell how text is split before it is merged. */
function unsplit(path: string, metadata: Metadata): string[] {
  const isBpe = metadata.get("tokenizer.ggml.model")?.value === "gpt2";
  if (!isBpe || metadata.has("tokenizer.ggml.pre")) return [];
  return [
    t`${path}: no tokenizer.ggml.pre: text is split as llama.cpp does by default, which is right for few models`,
  ];
}

/** What such a container's tensors are for. */
export function describedTensors(
  path: string,
  container: Container,
  metadata: Metadata,
): Pick<Model, "architecture" | "hparams" | "tensors"> {
  const name = metadata.get("general.architecture")?.value;
  if (typeof name !== "string") throw badInput(t`${path}: no general.architecture: this GGUF holds no model`);
  const candidates = architecturesOfGguf(path, name);
  const hparams = readHParams(path, metadata);
  const rows = candidates.flatMap(({ tensors }) => tensors);
  const isFused = rows.some(({ role }) => role === "ffn_gate_up_exps");
  const usual = withScales(usualForms(container, isFused), new Set(rows.map((row) => row.name)));
  const chosen = chooseForGguf(candidates, hparams, usual);
  const { architecture } = chosen;
  return { architecture, hparams, tensors: bindGguf(architecture, hparams, chosen.container) };
}

/** A llama2.c file says its numbers; the name and the tokenizer are from files. */
function describeLlama2c(path: string, { metadata }: Container): Metadata {
  const rows = Number(metadata.get("llama.vocab_size")!.value);
  return new Map([
    ...metadata,
    ["general.name", meta.string(basename(path).replace(/\.bin$/, ""))],
    ...vocabToMetadata(readLlama2cVocab(path, rows)),
  ]);
}

/**
 * What is stored for the model of a config.json, by the names that PyTorch's modules have, which architectures know.
 * @param file what messages call the config
 */
export function folderWeights(
  container: Container,
  file: string,
  json: unknown,
  architecture: Architecture,
): Container {
  const named = container.format === "flax" ? fromFlax(container) : withoutWrappers(container);
  const own = withoutOtherParts(named, json);
  const unpacked = withoutMlxForm(unpackWeights(own, file, json), architecture);
  return withoutStacks(unpacked, architecture);
}

export const MAX_CONFIG_BYTES = 16 << 20;

/** A folder's config.json, as a language model alone would have it, with what is said beside it of packed weights. */
export function readConfig(folder: string, file: string): unknown {
  return withQuantConfig(folder, textConfig(parseJson(file, readSmallFile(file, MAX_CONFIG_BYTES))));
}

function openHuggingFace(path: string, folder: string, opened?: Container): Model {
  const file = join(folder, "config.json");
  if (!existsSync(file)) {
    const gguf = opened === undefined && (listFolder(folder) ?? []).find((name) => name.endsWith(".gguf"));
    const hint = existsSync(join(folder, "adapter_config.json"))
      ? t`an adapter is merged into its model: llq convert <model> -o <file> --lora ${folder}`
      : t`a Hugging Face folder has config.json beside its weights: fetch it too, or name hf:owner/name`;
    throw badInput(t`${file}: no such file`, gguf ? t`did you mean ${join(folder, gguf)}?` : hint);
  }
  const json = readConfig(folder, file);
  const architecture = architectureOfConfig(file, json);
  const config = architecture.read(file, json);
  const container = folderWeights(opened ?? openContainer(path), file, json, architecture);
  const blockCount = Number(new Map(config.keys).get("block_count")?.value);
  const listed = layerNumberKeys(container, architecture, blockCount);
  const described = describe(file, folder, readVocab(folder, config), architecture, config, listed);
  const bound = bindHuggingFace(architecture, described.hparams, container, config);
  const tensors = withColumnLengths(bound, container);
  const metadata = published(described.metadata, folder, json, tensors);
  const remarks = [
    ...untied(path, config, tensors),
    ...(container.remarks ?? []),
    ...[...(config.remarks ?? []), ...unheardKeys(architecture.name, config)].map(
      (remark) => `${file}: ${remark}`,
    ),
    ...unusual(file, architecture, tensors),
    ...(described.vocab.remarks ?? []),
  ];
  return { path, folder, container, architecture, tensors, remarks, ...described, metadata };
}

/** The metadata with what the folder's files say of the model as a publication. */
function published(
  metadata: Metadata,
  folder: string,
  config: unknown,
  tensors: readonly Tensor[],
): Metadata {
  const path = resolve(folder);
  // In the Hub's cache a folder is called by its commit, and the repository above it by its name.
  const [, repository] = /models--[^/\\]+--([^/\\]+)[/\\]snapshots[/\\][^/\\]+$/.exec(path) ?? [];
  const general = new Map(generalKeys({ name: repository ?? basename(path), folder, config, tensors }));
  const fields = [...metadata].flatMap(([key, field]): [string, MetaField][] =>
    key === "general.name" ? [...general] : [[key, field]],
  );
  return new Map(fields);
}

/** Says when a checkpoint has an output of its own that its configuration knows nothing of. */
function untied(path: string, { tied }: HfModel, tensors: readonly Tensor[]): string[] {
  if (!tied || tensors.every(({ role }) => role !== "output")) return [];
  return [
    t`${path}: config.json ties the output to the embedding, but the checkpoint's is another; the model gets an output of its own`,
  ];
}

/** Says which tensors a GGUF file gets that llama.cpp knows in other architectures only: it refuses the file. */
function unusual(file: string, { name, tensors: rows }: Architecture, tensors: readonly Tensor[]): string[] {
  const known = new Set(rows.map((row) => row.name));
  return tensors
    .filter(({ values, name: tensor }) => values !== undefined && !known.has(tensor))
    .map(
      (tensor) => t`${file}: RoPE's divisors become ${tensor.name}, with which llama.cpp loads no ${name}`,
    );
}

function openMeta(path: string, checkpoint: MetaCheckpoint): Model {
  const { file, folder, config: json, shards } = checkpoint;
  const architecture = architectureOfConfig(file, json);
  const config = architecture.read(file, json);
  const vocab = readVocab(checkpoint.tokenizerFolder, config);
  const described = describe(file, folder, vocab, architecture, config);
  const tensors = bindMeta(architecture, described.hparams, checkpoint, config);
  const metadata = published(described.metadata, folder, json, tensors);
  return {
    path,
    folder,
    container: joinShards(shards),
    architecture,
    tensors,
    remarks: [],
    ...described,
    metadata,
  };
}

/** What a GGUF of a model in a folder says of it. */
function describe(
  file: string,
  folder: string,
  vocab: Vocab,
  { name }: Architecture,
  { keys }: HfModel,
  listed: [string, MetaField][] = [],
) {
  const metadata: Metadata = new Map([
    ["general.architecture", meta.string(name)],
    ["general.type", meta.string("model")],
    ["general.name", meta.string(basename(resolve(folder)))],
    // what is written decides these two; here they have their place among the keys
    ["general.file_type", meta.u32(0)],
    ["general.quantization_version", meta.u32(2)],
    ...keys.map(([key, field]) => [`${name}.${key}`, field] as const),
    ...listed,
    ...vocabToMetadata(vocab),
  ]);
  return { vocab, metadata, hparams: readHParams(file, metadata) };
}
