import { join } from "node:path";
import { type FileSource, listFolder, withFile } from "./bytes.js";
import type { Container } from "./container.js";
import { badInput, LlqError } from "./errors.js";
import { readGguf } from "./gguf.js";
import { joinSplit } from "./gguf-split.js";
import { isLlama2c, readLlama2c } from "./llama2c.js";
import { openSafetensors, openShards, readSafetensors } from "./safetensors.js";

/** What a folder is searched for, in the order transformers does. */
const FOLDER: readonly [name: string, open: (path: string) => Container][] = [
  ["model.safetensors", openSafetensors],
  ["model.safetensors.index.json", openShards],
];

/**
 * Opens a GGUF file, a safetensors file, a llama2.c file or a Hugging Face folder. A file is known by its first
 * bytes, never by its name.
 * @throws LlqError `bad-input` when nothing is there or it breaks its format's rules, `unsupported` for other
 * formats
 */
export function openContainer(path: string): Container {
  const names = listFolder(path);
  return names === undefined ? withFile(path, readContainer) : openFolder(path, names);
}

function openFolder(folder: string, names: readonly string[]): Container {
  for (const [name, open] of FOLDER) {
    if (names.includes(name)) return open(join(folder, name));
  }
  const torch = names.find((name) => /^(pytorch_model.*\.bin|consolidated.*\.pth)$/.test(name));
  if (torch !== undefined) {
    const message = `${folder}: has PyTorch weights (${torch}) and no safetensors`;
    throw new LlqError("unsupported", message, { hint: "save the model with safetensors first" });
  }
  const gguf = names.find((name) => name.endsWith(".gguf"));
  throw badInput(
    `${folder}: no model here; looked for ${FOLDER.map(([name]) => name).join(", ")}`,
    gguf && `did you mean ${join(folder, gguf)}?`,
  );
}

/** Beginnings of files that are no container of ours. */
const STRANGERS: readonly [start: string, code: "bad-input" | "unsupported", what: string, hint: string][] = [
  [
    "PK\x03\x04",
    "unsupported",
    "a zip file, perhaps PyTorch weights",
    "save the model with safetensors first",
  ],
  ["\x80\x02", "unsupported", "a Python pickle", "save the model with safetensors first"],
  ["tjgg", "unsupported", "GGML, the format before GGUF", "convert the model again"],
  ["lmgg", "unsupported", "GGML, the format before GGUF", "convert the model again"],
  ["fmgg", "unsupported", "GGML, the format before GGUF", "convert the model again"],
  ["version https://git-lfs", "bad-input", "a Git LFS pointer instead of the file", "run git lfs pull"],
  ["<", "bad-input", "a web page", "fetch the file again"],
];

function readContainer(source: FileSource): Container {
  const start = Buffer.from(source.read(0, Math.min(32, source.byteLength))).toString("latin1");
  if (start.startsWith("GGUF")) return joinSplit(readGguf(source));
  if (start[8] === "{") return readSafetensors(source);
  const stranger = STRANGERS.find(([known]) => start.startsWith(known));
  if (stranger === undefined) {
    if (isLlama2c(source)) return readLlama2c(source);
    throw badInput(`${source.name}: neither GGUF, safetensors nor llama2.c`);
  }
  const [, code, what, hint] = stranger;
  throw new LlqError(code, `${source.name}: ${what}`, { hint });
}
