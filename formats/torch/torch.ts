// A file of torch.save since version 1.6: a zip with a pickle, data.pkl, and a file for each storage. See torch.md.
import { decodeLatin1 } from "#host/bytes";
import { t } from "../../src/language/t.js";
import { ByteReader, type ByteSource, withFile } from "../bytes.js";
import {
  type Container,
  type MetaField,
  nameProblem,
  type RawSource,
  type TensorSource,
} from "../container.js";
import { badInput, LlqError } from "../errors.js";
import { readPickle } from "./pickle.js";
import { isKind, type PickleCall, type PickleValue } from "./pickle-values.js";
import { ALLOWED_GLOBALS } from "./torch-globals.js";
import { locateTensor, type Storages } from "./torch-tensor.js";
import { readZip, type ZipEntry } from "./zip.js";

/** As many as safetensors.ts allows. */
const MAX_TENSORS = 2 ** 18;
/** Things at places: a dict can be at many places of another, and even in itself. Plain items of lists are cheaper. */
const MAX_VALUES = 2 ** 19;
const MAX_LISTED = 2 ** 22;
/** Of names: keys are joined, and a long one can be part of many names. */
const MAX_NAMES = 2 ** 25;
/** Dicts in dicts; a training checkpoint has some five. */
const MAX_DEPTH = 16;

/**
 * Everything in a file of torch.save but the bytes of its tensors, whose place is checked. A tensor's name is the
 * path of keys that leads to it, joined by dots; numbers, texts and booleans are metadata, named in the same way.
 * @throws LlqError `bad-input` when the file breaks a rule of torch.md, `unsupported` for TorchScript, and for files
 * that are big-endian or compressed
 */
export function readTorch(source: ByteSource): Container {
  const entries = readZip(source);
  const folder = findFolder(source, entries);
  checkKind(source, entries, folder);
  const pickle = entries.get(`${folder}data.pkl`)!;
  const contents = new Contents({
    file: source.name,
    find: (key) => entries.get(`${folder}data/${key}`),
    hasSums: pickle.crc32 !== 0,
  });
  contents.add(readPickleOf(source, pickle), "", 0);
  const { tensors, opaque, raw, metadata } = contents;
  return { format: "torch", files: [source.name], tensors, opaque, raw, metadata };
}

/** One file of torch.save. */
export function openTorch(path: string): Container {
  return withFile(path, readTorch);
}

/** The one folder in the zip, with its slash. */
function findFolder(source: ByteSource, entries: ReadonlyMap<string, ZipEntry>): string {
  const folders = [...entries.keys()].filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (folders.length === 1) return folders[0]!.slice(0, -"data.pkl".length);
  throw badInput(
    t`${source.name}: a zip with ${folders.length} pickles named data.pkl, where torch.save writes one`,
  );
}

function checkKind(source: ByteSource, entries: ReadonlyMap<string, ZipEntry>, folder: string): void {
  if (entries.has(`${folder}constants.pkl`)) {
    throw new LlqError("unsupported", t`${source.name}: TorchScript, a program and not only weights`, {
      hint: t`torch.save(torch.jit.load(file).state_dict(), another) has the weights`,
    });
  }
  const compressed = [...entries].find(([, entry]) => entry.compressed);
  if (compressed !== undefined) {
    throw new LlqError("unsupported", t`${source.name}: ${compressed[0]} is compressed`, {
      hint: t`torch.save compresses nothing: load the file with PyTorch and save it again`,
    });
  }
  const order = entries.get(`${folder}byteorder`);
  if (order === undefined) return; // files of the first years have none, and are little-endian
  const text = decodeLatin1(source.read(order.offset, Math.min(16, order.byteLength)));
  if (text === "little") return;
  throw new LlqError("unsupported", t`${source.name}: its byte order is ${JSON.stringify(text)}`, {
    hint: t`load it with PyTorch on a little-endian machine and save it again`,
  });
}

function readPickleOf(source: ByteSource, { offset, byteLength }: ZipEntry): PickleValue {
  const upToItsEnd: ByteSource = {
    name: source.name,
    byteLength: offset + byteLength,
    read: (from, length) => source.read(from, length),
  };
  return readPickle(new ByteReader(upToItsEnd, offset), ALLOWED_GLOBALS);
}

/** The tensors and plain values in what a pickle built. */
class Contents {
  readonly tensors = new Map<string, TensorSource>();
  readonly opaque = new Map<string, string>();
  readonly raw = new Map<string, RawSource>();
  readonly metadata = new Map<string, MetaField>();
  readonly #storages: Storages;
  #values = 0;
  #listed = 0;
  #nameLength = 0;

  constructor(storages: Storages) {
    this.#storages = storages;
  }

  /** Adds `value`, which the keys of `name` lead to, and what is in it. */
  add(value: PickleValue, name: string, depth: number): void {
    if (depth > MAX_DEPTH) throw this.#error(t`dicts in dicts, more than ${MAX_DEPTH} deep`);
    if (isKind(value, "call")) this.#addTensor(value, name);
    else if (isKind(value, "dict")) this.#addItems(value.entries ?? [], name, depth);
    else if (Array.isArray(value)) this.#addList(value, name, depth);
    else if (isKind(value, "tuple")) this.#addList(value.items, name, depth);
    else this.#addField(value, name);
  }

  #addItems(items: Iterable<readonly [PickleValue, PickleValue]>, name: string, depth: number): void {
    for (const [key, item] of items) {
      if (++this.#values > MAX_VALUES) throw this.#tooMany();
      if (typeof key !== "string" && typeof key !== "number") continue;
      this.add(item, name === "" ? String(key) : `${name}.${key}`, depth + 1);
    }
  }

  /** Items that may hold tensors, by number. Plain numbers in lists say nothing of a model. */
  #addList(items: readonly PickleValue[], name: string, depth: number): void {
    this.#listed += items.length;
    if (this.#listed > MAX_LISTED) throw this.#tooMany();
    const objects = [...items.entries()].filter(([, item]) => typeof item === "object" && item !== null);
    this.#addItems(objects, name, depth);
  }

  #tooMany(): LlqError {
    return this.#error(t`more than ${MAX_VALUES} values in its dicts`);
  }

  #addTensor(call: PickleCall, name: string): void {
    this.#checkName(name);
    const found = locateTensor(name, call, this.#storages);
    if (found === undefined) return;
    if (this.tensors.has(name) || this.opaque.has(name)) throw this.#error(t`tensor ${name} is there twice`);
    if (this.tensors.size + this.opaque.size === MAX_TENSORS)
      throw this.#error(t`more than ${MAX_TENSORS} tensors`);
    if ("source" in found) this.tensors.set(name, found.source);
    else this.opaque.set(name, found.opaque);
    if ("raw" in found && found.raw !== undefined) this.raw.set(name, found.raw);
  }

  #addField(value: PickleValue, name: string): void {
    const field = metaField(value);
    if (field === undefined) return;
    this.#checkName(name);
    if (this.metadata.has(name)) throw this.#error(t`${name} is there twice`);
    this.metadata.set(name, field);
  }

  #checkName(name: string): void {
    this.#nameLength += name.length;
    if (this.#nameLength > MAX_NAMES) throw this.#error(t`names of more than ${MAX_NAMES} characters`);
    const problem = nameProblem(name);
    if (problem !== undefined) throw this.#error(t`a name, made of the keys of its dicts, ${problem}`);
  }

  #error(problem: string): LlqError {
    return badInput(`${this.#storages.file}: ${problem}`, t`the file is damaged`);
  }
}

function metaField(value: PickleValue): MetaField | undefined {
  switch (typeof value) {
    case "number":
      return Number.isInteger(value) ? { type: "i64", value: BigInt(value) } : { type: "f64", value };
    case "boolean":
      return { type: "bool", value };
    case "string":
      return { type: "string", value };
    default:
      return undefined;
  }
}
