import { withFile } from "../bytes.js";
import type { Container, Metadata, TensorSource } from "../container.js";
import { badInput } from "../errors.js";
import { type Gguf, type GgufOptions, readGguf } from "./gguf.js";

/** Which part of a split model a file is, how many there are, and how many tensors they have together. */
const SPLIT_NO = "split.no";
const SPLIT_COUNT = "split.count";
const SPLIT_TENSORS = "split.tensors.count";

/** The name of part `no` (from 0) of `count` of a model named `path`. */
export function splitPath(path: string, no: number, count: number): string {
  const five = (n: number) => String(n).padStart(5, "0");
  return `${path.replace(/\.gguf$/, "")}-${five(no + 1)}-of-${five(count)}.gguf`;
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
      `${path}: part ${splitNumber(first, SPLIT_NO) + 1} of a model in ${count} files`,
      `name the first one, which ends in ${named}`,
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
    throw badInput(`${path}: the ${count} files have ${tensors.size} tensors, expected ${expected}`);
  }
  return { ...first, files, tensors, metadata: withoutSplit(first.metadata) };
}

function addPart(tensors: Map<string, TensorSource>, part: Gguf, no: number, count: number): void {
  const path = part.files[0]!;
  if (splitNumber(part, SPLIT_NO) !== no || splitNumber(part, SPLIT_COUNT) !== count) {
    throw badInput(
      `${path}: says that it is another part of a model`,
      "the file was renamed, or is of another model",
    );
  }
  for (const [name, tensor] of part.tensors) {
    if (tensors.has(name)) throw badInput(`${path}: tensor ${name} is in another part too`);
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
