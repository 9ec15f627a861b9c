import { decodeLatin1 } from "#host/bytes";
import { join } from "#host/files";
import { t } from "../src/language/t.js";
import { type FileSource, listFolder, withFile } from "./bytes.js";
import type { Container } from "./container.js";
import { badInput, LlqError } from "./errors.js";
import { isFlax, readFlax } from "./flax/flax.js";
import { readGguf } from "./gguf/gguf.js";
import { joinSplit } from "./gguf/gguf-split.js";
import { IMPOSTORS } from "./impostors.js";
import { isLlama2c, readLlama2c } from "./llama2c/llama2c.js";
import { openSafetensors, readSafetensors } from "./safetensors/safetensors.js";
import { openShards } from "./shards.js";
import { readTorch } from "./torch/torch.js";

/** What a folder is searched for, in the order transformers does. */
const FOLDER: readonly [name: string, open: (path: string) => Container][] = [
  ["model.safetensors", openSafetensors],
  ["model.safetensors.index.json", (path) => openShards(path, openSafetensors)],
  ["pytorch_model.bin", openFile],
  ["pytorch_model.bin.index.json", (path) => openShards(path, openFile)],
  ["flax_model.msgpack", openFile],
  ["flax_model.msgpack.index.json", (path) => openShards(path, openFile)],
];

/** The first of them that is among the files of a folder. */
export function findWeights(names: readonly string[]): string | undefined {
  return FOLDER.find(([name]) => names.includes(name))?.[0];
}

/**
 * Opens a file of GGUF, safetensors, torch.save, Flax or llama2.c, or a Hugging Face folder. A file is known by its first
 * bytes, never by its name.
 * @throws LlqError `bad-input` when nothing is there or it breaks its format's rules, `unsupported` for other
 * formats
 */
export function openContainer(path: string): Container {
  const names = listFolder(path);
  return names === undefined ? openFile(path) : openFolder(path, names);
}

function openFile(path: string): Container {
  return withFile(path, readContainer);
}

function openFolder(folder: string, names: readonly string[]): Container {
  for (const [name, open] of FOLDER) {
    if (names.includes(name)) return open(join(folder, name));
  }
  const gguf = names.find((name) => name.endsWith(".gguf"));
  throw badInput(
    t`${folder}: no model here; looked for ${FOLDER.map(([name]) => name).join(", ")}`,
    gguf ? t`did you mean ${join(folder, gguf)}?` : t`fetch the weights too, or name hf:owner/name`,
  );
}

const GGML = () => t`GGML, the format before GGUF`;
const AGAIN = () => t`convert the model again`;

/** Beginnings of files that are no container of ours. */
const STRANGERS: readonly (readonly [
  start: string,
  code: "bad-input" | "unsupported",
  what: () => string,
  hint: () => string,
])[] = [
  [
    "\x80\x02",
    "unsupported",
    () => t`a Python pickle, perhaps weights saved before PyTorch 1.6`,
    () =>
      t`torch.save(torch.load(file, weights_only=True), another) in a newer PyTorch makes a file that can be read`,
  ],
  ["tjgg", "unsupported", GGML, AGAIN],
  ["lmgg", "unsupported", GGML, AGAIN],
  ["fmgg", "unsupported", GGML, AGAIN],
  ...IMPOSTORS,
];

function readContainer(source: FileSource): Container {
  const start = decodeLatin1(source.read(0, Math.min(32, source.byteLength)));
  if (start.startsWith("GGUF")) return joinSplit(readGguf(source));
  if (start[8] === "{") return readSafetensors(source);
  if (start.startsWith("PK")) return readTorch(source);
  const stranger = STRANGERS.find(([known]) => start.startsWith(known));
  if (stranger === undefined) {
    if (isFlax(source)) return readFlax(source);
    if (isLlama2c(source)) return readLlama2c(source);
    throw badInput(
      t`${source.name}: neither GGUF, safetensors, torch.save, Flax nor llama2.c`,
      source.byteLength === 0
        ? t`the file is empty: fetch it again`
        : t`a model is such a file, or a folder with config.json and weights`,
    );
  }
  const [, code, what, hint] = stranger;
  throw new LlqError(code, `${source.name}: ${what()}`, { hint: hint() });
}
