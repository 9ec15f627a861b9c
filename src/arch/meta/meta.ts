import { basename, dirname, join as joinPath, resolve } from "#host/files";
import { listFolder, readSmallFile } from "../../../formats/bytes.js";
import type { Container, TensorSource } from "../../../formats/container.js";
import { elementCount } from "../../../formats/dtype.js";
import { badInput } from "../../../formats/errors.js";
import { parseJson } from "../../../formats/json.js";
import { findWeights, openContainer } from "../../../formats/open.js";
import { t } from "../../language/t.js";
import { storedWhole, type Tensor } from "../../tensor.js";
import type { Architecture, HfModel } from "../architecture.js";
import { computedTensor, expand, shapeOf } from "../bind.js";
import type { HParams } from "../hparams.js";
import { missingTensors, unknownTensors } from "../misfits.js";
import { configOf, type MetaParams, paramsOf, parseParams } from "./meta-params.js";
import { joinWhole } from "./mistral.js";

/** A checkpoint as Meta's own programs write it: their names, RoPE over neighbours, one file for each GPU. */
export interface MetaCheckpoint {
  /** What the parameters are from, for messages. */
  readonly file: string;
  readonly folder: string;
  /** The folder that has the tokenizer. */
  readonly tokenizerFolder: string;
  readonly shards: readonly Container[];
  /** What the names of the model's tensors begin with, in a checkpoint that has others too. */
  readonly prefix: string;
  /** As a Hugging Face folder would have it. */
  readonly config: unknown;
}

/** Parts of matrices for each GPU, or, numbered from 1 of as many, files of whole tensors. */
const SHARD = /^consolidated(?:\.(\d+)|-(\d{5})-of-(\d{5}))?\.(?:pth|pt|safetensors)$/;
const MAX_PARAMS_BYTES = 1 << 20;

/** GGUF's names and Meta's. */
const NAMES: Readonly<Record<string, string>> = {
  "token_embd.weight": "tok_embeddings.weight",
  "blk.{i}.attn_norm.weight": "layers.{i}.attention_norm.weight",
  "blk.{i}.attn_q.weight": "layers.{i}.attention.wq.weight",
  "blk.{i}.attn_k.weight": "layers.{i}.attention.wk.weight",
  "blk.{i}.attn_v.weight": "layers.{i}.attention.wv.weight",
  "blk.{i}.attn_output.weight": "layers.{i}.attention.wo.weight",
  "blk.{i}.ffn_norm.weight": "layers.{i}.ffn_norm.weight",
  "blk.{i}.ffn_gate.weight": "layers.{i}.feed_forward.w1.weight",
  "blk.{i}.ffn_up.weight": "layers.{i}.feed_forward.w3.weight",
  "blk.{i}.ffn_down.weight": "layers.{i}.feed_forward.w2.weight",
  "blk.{i}.ffn_gate_inp.weight": "layers.{i}.feed_forward.gate.weight",
  "blk.{i}.ffn_gate_exps.weight": "layers.{i}.feed_forward.experts.{e}.w1.weight",
  "blk.{i}.ffn_up_exps.weight": "layers.{i}.feed_forward.experts.{e}.w3.weight",
  "blk.{i}.ffn_down_exps.weight": "layers.{i}.feed_forward.experts.{e}.w2.weight",
  "output_norm.weight": "norm.weight",
  "output.weight": "output.weight",
};

/** Frequencies that the program computes again. */
const IGNORED = /^(rope\.freqs|layers\.\d+\.attention\.inner_attention\.rope\.freqs|freqs_cos|freqs_sin)$/;

/**
 * The release at `path`: a folder with params.json and consolidated.*, or one of these files. Undefined when there is
 * something else.
 * @throws LlqError `bad-input` when it is incomplete or damaged
 */
export function findRelease(path: string): MetaCheckpoint | undefined {
  const isFile = SHARD.test(basename(path));
  const folder = isFile ? dirname(path) : path;
  const names = listFolder(folder) ?? [];
  // Mistral's repositories have both forms; the other one is complete.
  if (!names.some((name) => SHARD.test(name)) || (!isFile && findWeights(names) !== undefined))
    return undefined;
  return openRelease(folder, names);
}

/** What a training program saved, if the parameters are in it. @throws LlqError `bad-input` when it has no model */
export function findTraining(path: string, container: Container): MetaCheckpoint | undefined {
  const params = container.format === "torch" ? paramsOf(path, container.metadata) : undefined;
  return params && describe(path, dirname(path), [container], params);
}

function openRelease(folder: string, names: readonly string[]): MetaCheckpoint {
  const file = joinPath(folder, "params.json");
  if (!names.includes("params.json")) {
    throw badInput(t`${file}: no such file`, t`Meta's folders have it beside consolidated.00.pth`);
  }
  const params = parseParams(file, parseJson(file, readSmallFile(file, MAX_PARAMS_BYTES)));
  const shards = names.filter((name) => SHARD.test(name)).sort();
  const last = SHARD.exec(shards.at(-1)!)!;
  const count = last[3] === undefined ? shards.length : Number(last[3]);
  for (let i = 0; i < count; i++) {
    const [, from0, from1] = SHARD.exec(shards[i] ?? "") ?? [];
    const number = from0 ?? (from1 === undefined ? undefined : Number(from1) - 1);
    if (shards[i] === undefined || (number !== undefined && Number(number) !== i)) {
      throw badInput(
        t`${joinPath(folder, shards[i] ?? shards.at(-1)!)}: file ${i} of the model is missing`,
        t`fetch all of consolidated.*`,
      );
    }
  }
  const containers = shards.map((name) => openContainer(joinPath(folder, name)));
  return describe(file, folder, containers, params);
}

function describe(
  file: string,
  folder: string,
  shards: readonly Container[],
  params: MetaParams,
): MetaCheckpoint {
  const prefix = findPrefix(shards);
  // Whichever way a matrix is cut, its elements over all files are rows × dim.
  const rows = (name: string) => {
    const parts = shards.map(({ tensors }) => tensors.get(prefix + name));
    return (
      parts.reduce((sum, part) => sum + (part === undefined ? 0 : elementCount(part.shape)), 0) / params.dim
    );
  };
  const shapes = { vocab: rows("tok_embeddings.weight"), ffn: rows("layers.0.feed_forward.w1.weight") };
  const config = configOf(file, params, shapes);
  const whole = joinWhole(shards, file, config);
  const tokenizerFolder = findTokenizer(folder);
  return { file, folder, tokenizerFolder, shards: whole === undefined ? shards : [whole], prefix, config };
}

/** @throws LlqError `bad-input` when there is no model in it, or more than one */
function findPrefix(shards: readonly Container[]): string {
  const mark = "tok_embeddings.weight";
  const { files } = shards[0]!;
  const prefixes = [...new Set(shards.flatMap(({ tensors }) => [...tensors.keys()]))]
    .filter((name) => name === mark || name.endsWith(`.${mark}`))
    .map((name) => name.slice(0, -mark.length));
  const best =
    prefixes.find((prefix) => prefix === "") ?? prefixes.find((prefix) => prefix.startsWith("model."));
  if (best !== undefined || prefixes.length === 1) return best ?? prefixes[0]!;
  const found = prefixes.length === 0 ? t`has no` : t`has ${prefixes.length} tensors called`;
  throw badInput(`${files[0]}: ${found} ${mark}`, t`is it a checkpoint of a Llama in Meta's format?`);
}

/** Meta's downloads have one tokenizer for all sizes of a model, above their folders. */
function findTokenizer(folder: string): string {
  const above = dirname(resolve(folder));
  const has = (each: string) =>
    (listFolder(each) ?? []).some((name) => /^(tokenizer\.model.*|tekken\.json|tokenizer\.json)$/.test(name));
  return !has(folder) && has(above) ? above : folder;
}

/** All files as one container. A tensor's name says the file too where there are several. */
export function joinShards(shards: readonly Container[]): Container {
  if (shards.length === 1) return shards[0]!;
  const tensors = shards.flatMap((shard, file) =>
    [...shard.tensors].map(([name, tensor]): [string, TensorSource] => [
      `${basename(shard.files[0]!)}:${name}`,
      { ...tensor, file },
    ]),
  );
  return { ...shards[0]!, files: shards.flatMap(({ files }) => files), tensors: new Map(tensors) };
}

/**
 * The model's tensors. Rows are in GGUF's order already.
 * @throws LlqError `bad-input` naming the tensors that are missing, unknown or of another shape
 */
export function bindMeta(
  architecture: Architecture,
  hparams: HParams,
  { shards, prefix }: MetaCheckpoint,
  { computed }: HfModel,
): Tensor[] {
  const tensors: Tensor[] = [];
  const missing: string[] = [];
  const used = new Set<string>();
  for (const { row, layer, name } of expand(architecture, hparams)) {
    const shape = shapeOf(row, hparams, layer);
    const values = computed?.get(name);
    if (values !== undefined) tensors.push(computedTensor({ row, layer, name }, shape, values));
    const stored = NAMES[row.name]?.replace("{i}", String(layer));
    if (stored === undefined) continue;
    if (stored.includes("{e}")) {
      const names = Array.from({ length: shape[0]! }, (_, e) => stored.replace("{e}", String(e)));
      for (const each of names) used.add(each);
      const found = names.map((each) => shards.length === 1 && shards[0]!.tensors.get(prefix + each));
      const sources = found.filter((each) => each !== false && each !== undefined);
      if (sources.length === shape[0])
        tensors.push(ofExperts({ name, role: row.role, layer, shape }, names, sources));
      else missing.push(...names.filter((_, e) => !found[e]).map((each) => prefix + each));
      continue;
    }
    used.add(stored);
    const parts = shards.flatMap((shard, file) => {
      const part = shard.tensors.get(prefix + stored);
      return part === undefined ? [] : [shards.length === 1 ? part : { ...part, file }];
    });
    if (row.role === "output" && isEmbedding(parts, tensors)) continue;
    if (parts.length < shards.length) missing.push(prefix + stored);
    else tensors.push({ name, role: row.role, layer, shape, ...join(stored, shape, parts) });
  }
  const where = shards[0]!.files[0]!;
  if (missing.length > 0)
    throw missingTensors(where, missing, shards[0]!.files.length > 1 || shards.length > 1);
  const names = new Set(shards.flatMap((shard) => [...shard.tensors.keys()]));
  const unknown = [...names].filter((name) => {
    const bare = name.slice(prefix.length);
    return name.startsWith(prefix) && !used.has(bare) && !IGNORED.test(bare);
  });
  if (unknown.length > 0) throw unknownTensors(where, architecture, unknown);
  return tensors;
}

/** A tensor of all experts, each of whose matrices is a tensor. */
function ofExperts(
  about: Pick<Tensor, "name" | "role" | "layer" | "shape">,
  names: readonly string[],
  sources: readonly TensorSource[],
): Tensor {
  const expected = about.shape.slice(1).join(" x ");
  const odd = sources.findIndex(
    ({ shape, dtype }) => shape.join(" x ") !== expected || dtype !== sources[0]!.dtype,
  );
  if (odd >= 0) {
    const { dtype, shape } = sources[odd]!;
    throw badInput(
      t`tensor ${names[odd]} is ${dtype} ${shape.join(" x ")}; params.json asks for ${expected}, one type for all experts`,
      t`the checkpoint and its parameters do not belong together`,
    );
  }
  return { ...about, ...storedWhole(sources[0]!), sources };
}

/** A tied output is absent, or another name for the same bytes. GGUF leaves it out; loaders take the embedding. */
function isEmbedding(output: readonly TensorSource[], tensors: readonly Tensor[]): boolean {
  const embedding = tensors.find(({ role }) => role === "token_embd")?.sources ?? [];
  return output.every(
    ({ file, offset }, i) => embedding[i]?.file === file && embedding[i]?.offset === offset,
  );
}

/**
 * A tensor from its parts in all files: the same in each, one below the other, or side by side. The shapes say which;
 * LLaMA 1 and 2 have cut the embedding's columns, Llama 3 its rows.
 */
function join(name: string, shape: readonly number[], parts: readonly TensorSource[]) {
  const first = parts[0]!;
  const odd = parts.find((part) => part.dtype !== first.dtype || part.shape.join() !== first.shape.join());
  if (odd !== undefined) {
    const what = [first, odd].map((part) => `${part.dtype} ${part.shape.join(" x ")}`).join(" and ");
    throw badInput(t`tensor ${name} is ${what} in files of one model`, t`are they of different models?`);
  }
  const whole = storedWhole(first);
  if (first.shape.join() === shape.join()) return whole;
  const [rows, columns] = shape;
  const [partRows, partColumns] = first.shape;
  if (shape.length === 2 && first.shape.length === 2) {
    // More files than key/value heads: neighbours have the same ones.
    const copies = (partRows! * parts.length) / rows!;
    if (partColumns === columns && Number.isInteger(copies) && parts.length % copies === 0) {
      return { ...whole, sources: parts.filter((_, i) => i % copies === 0) };
    }
    if (partRows === rows && partColumns! * parts.length === columns) {
      return { ...whole, sources: parts, joined: "columns" as const };
    }
  }
  const times = parts.length === 1 ? "" : t`${parts.length} times `;
  throw badInput(
    t`tensor ${name} is ${times}${first.shape.join(" x ")}; params.json asks for ${shape.join(" x ")}`,
    t`the checkpoint and its parameters do not belong together`,
  );
}
