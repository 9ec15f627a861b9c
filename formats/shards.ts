import * as v from "valibot";
import { dirname, join, win32 } from "#host/files";
import { t } from "../src/language/t.js";
import { readSmallFile } from "./bytes.js";
import { type Container, nameProblem, type RawSource, type TensorSource } from "./container.js";
import { badInput } from "./errors.js";
import { parseJson } from "./json.js";

const MAX_INDEX = 64 << 20;
/** As many as safetensors.ts allows, and a little beside them. */
const MAX_TENSORS = 2 ** 18 + 2 ** 10;

const Index = v.object({ weight_map: v.record(v.string(), v.string()) });

/**
 * The shards that an index such as model.safetensors.index.json lists, as one container. The index and the shards
 * must agree on every tensor but for the shard it is in, which programs that join or cut files forget to change; a
 * shard is a file beside the index, and `open` opens it.
 * @throws LlqError `bad-input` when they do not agree, or the index is none
 */
export function openShards(indexPath: string, open: (path: string) => Container): Container {
  const map = readIndex(indexPath);
  const files = [...new Set(map.values())];
  const tensors = new Map<string, TensorSource>();
  const opaque = new Map<string, string>();
  const raw = new Map<string, RawSource>();
  const shards = files.map((name) => open(join(dirname(indexPath), name)));
  for (const [file, shard] of shards.entries()) {
    for (const name of [...shard.tensors.keys(), ...shard.opaque.keys()]) {
      const expected = map.get(name);
      if (
        expected === undefined ||
        (expected !== files[file]! && holds(shards[files.indexOf(expected)]!, name))
      ) {
        throw mismatch(indexPath, name, expected, files[file]!);
      }
      if (tensors.has(name) || opaque.has(name))
        throw badInput(t`${indexPath}: tensor ${name} is in two files`);
    }
    for (const [name, tensor] of shard.tensors) tensors.set(name, { ...tensor, file });
    for (const [name, stored] of shard.opaque) opaque.set(name, stored);
    for (const [name, source] of shard.raw ?? []) raw.set(name, { ...source, file });
  }
  for (const [name, file] of map) {
    if (!tensors.has(name) && !opaque.has(name)) {
      throw badInput(t`${indexPath}: tensor ${name} is not in ${file}`, t`fetch that file again`);
    }
  }
  if (shards[0] === undefined) throw badInput(t`${indexPath}: weight_map lists no tensors`);
  return {
    ...shards[0],
    files: shards.flatMap((shard) => shard.files),
    tensors,
    opaque,
    raw,
  };
}

/** Tensor name to file name. */
function readIndex(path: string): Map<string, string> {
  const result = v.safeParse(Index, parseJson(path, readSmallFile(path, MAX_INDEX), MAX_TENSORS));
  if (!result.success) throw badInput(t`${path}: weight_map is not an object of file names`);
  const map = new Map(Object.entries(result.output.weight_map));
  for (const file of map.values()) {
    // win32 knows both separators and drives, so this holds wherever the folder is read.
    if (win32.basename(file) !== file || file === "." || file === ".." || nameProblem(file) !== undefined) {
      throw badInput(t`${path}: ${JSON.stringify(file.slice(0, 80))} is not the name of a file beside it`);
    }
  }
  return map;
}

function holds({ tensors, opaque }: Container, name: string): boolean {
  return tensors.has(name) || opaque.has(name);
}

function mismatch(index: string, name: string, expected: string | undefined, found: string) {
  const says = expected === undefined ? t`the index does not list it` : t`the index says ${expected}`;
  return badInput(
    t`${index}: tensor ${name} is in ${found}, but ${says}`,
    t`the index and the files do not match`,
  );
}
