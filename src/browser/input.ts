import { badInput, LlqError } from "../../formats/errors.js";
import { addFile, join, placeFor, readdirSync, removeFiles, statSync } from "../host/browser/files.js";
import { BlobStore } from "../host/browser/stores/store.js";
import { t } from "../language/t.js";
import type { AddedModel, ModelInput, PlacedFile } from "./api.js";

/** Files of a folder that are looked at, and folders in folders. */
const MAX_FILES = 100_000;
const MAX_DEPTH = 8;

/**
 * Makes files of the page known, for openModel and all that takes a path.
 * @param name of the folder, for files that have none
 * @throws LlqError `usage` for no files, `bad-input` for paths that lead out of the folder or come twice
 */
export async function addFiles(input: ModelInput, name: string): Promise<AddedModel> {
  const files = await listInput(input);
  if (files.length === 0) throw new LlqError("usage", t`there are no files in it`);
  const placed = files.map(({ path, file }) => ({ path: checkedPath(path), file }));
  const alone = placed.length === 1 && !placed[0]!.path.includes("/");
  const [top] = new Set(placed.map(({ path }) => (path.includes("/") ? path.split("/")[0]! : "")));
  const isFolder = top !== "" && placed.every(({ path }) => path.startsWith(`${top}/`));
  const called = alone ? placed[0]!.path : isFolder ? top! : checkedPath(name);
  const root = placeFor(called);
  const names = new Set<string>();
  for (const { path } of placed) {
    if (names.has(path)) throw badInput(t`${path}: is there twice`);
    names.add(path);
  }
  for (const { path, file } of placed) {
    const inside = alone ? "" : isFolder ? path.slice(called.length + 1) : path;
    addFile(join(root, inside), new BlobStore(file), file.lastModified);
  }
  return {
    path: alone ? root : modelIn(root),
    byteLength: placed.reduce((sum, { file }) => sum + file.size, 0),
    remove: () => removeFiles(root),
  };
}

/** The folder of a model, or the first part of a GGUF; folders that hold nothing but one are gone into. */
function modelIn(folder: string): string {
  const names = readdirSync(folder);
  const ggufs = names.filter((name) => name.endsWith(".gguf"));
  const describes = ["config.json", "params.json"].some((name) => names.includes(name));
  if (ggufs.length > 0 && !describes) return join(folder, ggufs[0]!);
  const only = join(folder, names[0]!);
  return names.length === 1 && statSync(only).isDirectory() ? modelIn(only) : folder;
}

async function listInput(input: ModelInput): Promise<PlacedFile[]> {
  if (input instanceof Blob) return [placedFile(input)];
  if ("kind" in input) {
    if (input.kind === "file") return [placedFile(await input.getFile())];
    return listFolder(input as FileSystemDirectoryHandle, input.name, 0);
  }
  if ("path" in input) return [input];
  const files: PlacedFile[] = [];
  for (const each of input) {
    if (files.length === MAX_FILES) throw tooMany();
    if (each instanceof Blob) files.push(placedFile(each));
    else if ("kind" in each) files.push(placedFile(await each.getFile()));
    else files.push(each);
  }
  return files;
}

/** A file of a picked folder says where in there it was. */
function placedFile(file: File): PlacedFile {
  return { path: file.webkitRelativePath || file.name, file };
}

async function listFolder(
  folder: FileSystemDirectoryHandle,
  path: string,
  depth: number,
): Promise<PlacedFile[]> {
  const files: PlacedFile[] = [];
  for await (const entry of (folder as unknown as { values(): AsyncIterable<FileSystemHandle> }).values()) {
    const at = `${path}/${entry.name}`;
    if (entry.kind === "file")
      files.push({ path: at, file: await (entry as FileSystemFileHandle).getFile() });
    else if (depth < MAX_DEPTH && !entry.name.startsWith(".")) {
      files.push(...(await listFolder(entry as FileSystemDirectoryHandle, at, depth + 1)));
    }
    if (files.length > MAX_FILES) throw tooMany();
  }
  return files;
}

function tooMany(): LlqError {
  return badInput(t`more than ${MAX_FILES} files; a model's folder has far fewer`);
}

/** @throws LlqError `bad-input` for a path that is not one of names */
function checkedPath(path: string): string {
  const plain = path.replace(/^\/+/, "");
  const parts = plain.split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".." || part.includes("\0")))
    throw badInput(t`${path}: is no path of a file in a folder`);
  return plain;
}
