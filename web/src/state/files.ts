import type { SourceFile } from "../engine/protocol.js";

/** What was dropped or chosen, under a name for people. */
export interface Pile {
  readonly name: string;
  readonly files: readonly SourceFile[];
}

/** Folders in folders are followed so far: models have at most one level of them. */
const MAX_DEPTH = 3;
/** More files than any model has; a home folder that was dropped has more. */
const MAX_FILES = 2000;

const WEIGHTS = /(-\d{5}-of-\d{5})?\.(gguf|safetensors)$/i;

/** Files of a form: a folder's have paths, those chosen one by one have names only. */
export function fromInput(list: Iterable<File>): Pile {
  const files = [...list]
    .slice(0, MAX_FILES)
    .map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  return named(files);
}

/** A folder that the user has let the page read. */
export async function fromFolder(folder: FileSystemDirectoryHandle): Promise<Pile> {
  const files: SourceFile[] = [];
  await walk(folder, folder.name, MAX_DEPTH, files);
  return { name: folder.name, files };
}

/** What was dropped. Must be called before anything is awaited: the browser takes the data back. */
export async function fromDrop(data: DataTransfer): Promise<Pile> {
  const entries = [...data.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const files: SourceFile[] = [];
  for (const entry of entries) {
    if (entry instanceof File) files.push({ path: entry.name, file: entry });
    else if (entry !== null) await walkEntry(entry, MAX_DEPTH, files);
  }
  return named(files);
}

async function walk(
  folder: FileSystemDirectoryHandle,
  path: string,
  depth: number,
  files: SourceFile[],
): Promise<void> {
  for await (const [name, handle] of folder.entries()) {
    if (files.length === MAX_FILES) return;
    const below = `${path}/${name}`;
    if (handle.kind === "file") {
      files.push({ path: below, file: await (handle as FileSystemFileHandle).getFile() });
    } else if (depth > 1 && !name.startsWith(".")) {
      await walk(handle as FileSystemDirectoryHandle, below, depth - 1, files);
    }
  }
}

async function walkEntry(entry: FileSystemEntry, depth: number, files: SourceFile[]): Promise<void> {
  if (files.length === MAX_FILES) return;
  if (entry.isFile) {
    const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
    files.push({ path: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  if (depth === 0 || entry.name.startsWith(".")) return;
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  // A reader gives about a hundred at a time, and none at its end.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (some.length === 0) return;
    for (const each of some) await walkEntry(each, depth - 1, files);
  }
}

/** Called by its folder, or by its one file of weights. */
function named(files: readonly SourceFile[]): Pile {
  const first = files[0]?.path ?? "";
  const folder = first.includes("/") ? first.split("/")[0]! : undefined;
  const weights = files.map(({ path }) => path).find((path) => WEIGHTS.test(path));
  return { name: folder ?? (weights ?? first).replace(WEIGHTS, ""), files };
}
