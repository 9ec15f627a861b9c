import { t } from "../../src/language/t.js";
import { alignUp, withFile } from "../bytes.js";
import type { Container, Metadata, TensorSource } from "../container.js";
import { badInput, LlqError } from "../errors.js";
import { DEFAULT_ALIGNMENT, type Gguf, type GgufOptions, readGguf } from "./gguf.js";
import { meta } from "./gguf-write.js";

/** Which part of a split model a file is, how many there are, and how many tensors they have together. */
const SPLIT_NO = "split.no";
const SPLIT_COUNT = "split.count";
const SPLIT_TENSORS = "split.tensors.count";

/** The name of part `no` (from 0) of `count` of a model named `path`. */
export function splitPath(path: string, no: number, count: number): string {
  const five = (n: number) => String(n).padStart(5, "0");
  return `${path.replace(/\.gguf$/, "")}-${five(no + 1)}-of-${five(count)}.gguf`;
}

/** split.count has 16 bits. */
const MAX_PARTS = 2 ** 16 - 1;

/**
 * What part `no` (from 0) of `count` says: the first all that the model says, each which part it is, as llama-gguf-split
 * writes it.
 * @param tensors of all parts together
 * @throws LlqError `usage` for more parts than there can be
 */
export function partMetadata(
  metadata: Metadata,
  { no, count, tensors }: { readonly no: number; readonly count: number; readonly tensors: number },
): Metadata {
  if (count > MAX_PARTS) {
    throw new LlqError("usage", t`would be ${count} files; at most ${MAX_PARTS} are possible`);
  }
  return new Map([
    ...(no === 0 ? withoutSplit(metadata) : []),
    [SPLIT_NO, meta.u16(no)],
    [SPLIT_TENSORS, meta.i32(tensors)],
    [SPLIT_COUNT, meta.u16(count)],
  ]);
}

/**
 * Things of so many bytes in runs of at most `limit` bytes, filled in order as llama-gguf-split --split-max-size does; what
 * is above the limit has a run of its own.
 */
export function cutBySize<T>(things: readonly T[], limit: number, bytesOf: (thing: T) => number): T[][] {
  const runs: T[][] = [[]];
  let size = 0;
  for (const thing of things) {
    const bytes = alignUp(bytesOf(thing), DEFAULT_ALIGNMENT);
    if (size > 0 && size + bytes > limit) {
      runs.push([]);
      size = 0;
    }
    runs.at(-1)!.push(thing);
    size += bytes;
  }
  return runs;
}

/**
 * The whole model that `first` begins, when llama-gguf-split cut it: the parts lie side by side, named
 * `<model>-00001-of-00003.gguf` and so on. The keys that describe the split are left out.
 * @throws LlqError `bad-input` when `first` is another part, or a part is missing or of another model
 */
export function joinSplit(first: Gguf, options: GgufOptions = {}): Container {
  const path = first.files[0]!;
  const count = splitNumber(first, SPLIT_COUNT);
  if (count <= 1) return first;
  const stem = path.match(/^(.*)-00001-of-(\d{5})\.gguf$/s);
  if (stem === null || Number(stem[2]) !== count || splitNumber(first, SPLIT_NO) !== 0) {
    const named = `-00001-of-${String(count).padStart(5, "0")}.gguf`;
    throw badInput(
      t`${path}: part ${splitNumber(first, SPLIT_NO) + 1} of a model in ${count} files`,
      t`name the first one, which ends in ${named}`,
    );
  }
  const tensors = new Map<string, TensorSource>(first.tensors);
  const files = [path];
  for (let no = 1; no < count; no++) {
    const part = withFile(`${stem[1]}-${String(no + 1).padStart(5, "0")}-of-${stem[2]}.gguf`, (source) =>
      readGguf(source, options),
    );
    addPart(tensors, part, no, count);
    files.push(...part.files);
  }
  const expected = splitNumber(first, SPLIT_TENSORS);
  if (tensors.size !== expected) {
    throw badInput(t`${path}: the ${count} files have ${tensors.size} tensors, expected ${expected}`);
  }
  return { ...first, files, tensors, metadata: withoutSplit(first.metadata) };
}

function addPart(tensors: Map<string, TensorSource>, part: Gguf, no: number, count: number): void {
  const path = part.files[0]!;
  if (splitNumber(part, SPLIT_NO) !== no || splitNumber(part, SPLIT_COUNT) !== count) {
    throw badInput(
      t`${path}: says that it is another part of a model`,
      t`the file was renamed, or is of another model`,
    );
  }
  for (const [name, tensor] of part.tensors) {
    if (tensors.has(name)) throw badInput(t`${path}: tensor ${name} is in another part too`);
    tensors.set(name, { ...tensor, file: no });
  }
}

/** 0 if absent, as in llama.cpp. */
function splitNumber({ metadata }: Gguf, key: string): number {
  return Number(metadata.get(key)?.value ?? 0);
}

function withoutSplit(metadata: Metadata): Metadata {
  return new Map([...metadata].filter(([key]) => ![SPLIT_NO, SPLIT_COUNT, SPLIT_TENSORS].includes(key)));
}
