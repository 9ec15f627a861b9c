import {
  basename,
  closeSync,
  constants,
  dirname,
  extname,
  fstatSync,
  join,
  openSync,
  readdirSync,
  statSync,
} from "#host/files";
import type { BigStat } from "../src/host/types.js";
import { t } from "../src/language/t.js";
import { badInput, LlqError, nearest, systemErrorCode } from "./errors.js";

// The one place that knows which files a command reads, and which it is going to write. Every file is opened for
// reading here; a command that asks for it has all of them remembered, so that none is written over, and none changes
// unseen while it is read.

/** What tells a file from every other, and from itself when it has changed. */
export interface FileStamp {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

type Identity = Pick<FileStamp, "dev" | "ino">;

let read: Map<string, FileStamp> | undefined;
/** Of the folders of models: the files by which they say what a model is, whether this command reads them or not. */
const beside = new Map<string, readonly Identity[]>();
const reserved = new Map<string, Identity>();

/** From now on remembers what is opened. For a process that runs one command. */
export function rememberInputs(): void {
  read ??= new Map();
}

/** Names of files that a command on a model's folder may read: another one may need what this one does not. */
const OF_A_MODEL = new RegExp(
  [
    /^((generation_|tokenizer_|adapter_)?config|tokenizer|special_tokens_map|added_tokens|vocab|params|tekken)\.json$/,
    /^chat_template\.json$|^merges\.txt$|^(tokenizer|ice_text)\.model(\.v\d+(m\d+)?)?$|^(pytorch_model|adapter_model|tok).*\.bin$/,
    /\.(safetensors|pth?|msgpack|tiktoken|jinja|index\.json)$/,
  ]
    .map(({ source }) => source)
    .join("|"),
);

/**
 * The names in a folder, which is then taken for a model's.
 * @throws LlqError `usage` when one of its files is to be written, Error of the system's
 */
export function listInputs(folder: string): string[] {
  const names = readdirSync(folder);
  if (read !== undefined && !beside.has(folder)) {
    const own = names.filter((name) => OF_A_MODEL.test(name));
    const files = own.flatMap((name) => lookUp(join(folder, name)) ?? []);
    for (const file of files) refuseReserved(file);
    beside.set(folder, files);
  }
  return names;
}

/**
 * Opens a file for reading. What is no regular file is refused without waiting for who may write to it.
 * @throws LlqError `bad-input` when there is no such regular file or it may not be read, `usage` when it is to be
 * written too, `system` when too many files are open
 */
export function openInput(path: string): { readonly fd: number; readonly stamp: FileStamp } {
  const { fd, stamp } = openRegular(path);
  if (read === undefined) return { fd, stamp };
  try {
    refuseReserved(stamp);
    if (!read.has(path)) read.set(path, stamp);
    return { fd, stamp };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * The same of a file of llq's own that other runs may be writing to, and take away: it is read as far as it has come, and not
 * remembered.
 * @throws LlqError as openInput
 */
export function openGrowing(path: string): number {
  return openRegular(path).fd;
}

function openRegular(path: string): { readonly fd: number; readonly stamp: FileStamp } {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    throw openError(path, cause);
  }
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (!stat.isFile()) throw badInput(t`${path}: not a regular file`);
    return { fd, stamp: stampOf(stat) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function refuseReserved(input: Identity): void {
  for (const [output, other] of reserved) if (isSame(input, other)) throw inputToo(output);
}

/** Notes an output: if there is a file of that name, it must not become an input. */
export function reserveOutput(path: string): void {
  const stat = lookUp(path);
  if (stat !== undefined) reserved.set(path, stat);
}

/** It is written, or will not be. */
export function freeOutput(path: string): void {
  reserved.delete(path);
}

/**
 * Refuses a file that is read, or beside one in a model's folder, by whatever name, in the place of an output.
 * @param inputs files that are read, beside the remembered ones
 * @throws LlqError `usage`
 */
export function refuseInput(path: string, inputs: readonly string[] = []): void {
  const stat = lookUp(path);
  if (stat === undefined) return;
  const stamps = inputs.flatMap((input) => lookUp(input) ?? []);
  const known = [stamps, [...(read?.values() ?? [])], ...beside.values()];
  if (known.some((all) => all.some((stamp) => isSame(stamp, stat)))) throw inputToo(path);
}

/** @throws LlqError `bad-input` when a remembered file is no longer what was read */
export function checkInputs(): void {
  for (const [path, stamp] of read ?? []) checkUnchanged(path, stamp);
}

/**
 * A file that was deleted meanwhile is none that has changed: what was read of it stands.
 * @throws LlqError `bad-input` when another file has its name, or its size or time of change are others
 */
export function checkUnchanged(path: string, stamp: FileStamp): void {
  const now = lookUp(path);
  if (now === undefined) return;
  if (isUnchanged(now, stamp)) return;
  throw badInput(
    t`${path}: has changed while it was read`,
    t`run again when nothing writes to it; no output was kept`,
  );
}

/** What a name leads to; undefined when that is nothing, or nothing that can be reached. */
export function lookUp(path: string): BigStat | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined; // links in a circle, a name too long, a folder that is closed: whoever opens it is told
  }
}

export function stampOf({ dev, ino, size, mtimeNs }: BigStat): FileStamp {
  return { dev, ino, size, mtimeNs };
}

export function isUnchanged(now: FileStamp, then: FileStamp): boolean {
  return isSame(now, then) && now.size === then.size && now.mtimeNs === then.mtimeNs;
}

export function isSame(a: Identity, b: Identity): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

function inputToo(path: string): LlqError {
  return new LlqError("usage", t`${path}: is an input too`, {
    hint: t`choose another name: inputs are never overwritten`,
  });
}

/** What a failed attempt to open or list `path` means to the user. */
export function openError(path: string, cause: unknown): LlqError {
  const why: Record<string, string> = {
    ENOENT: t`no such file`,
    ENOTDIR: t`no such file`,
    EACCES: t`permission denied`,
    EISDIR: t`is a directory`,
    ENAMETOOLONG: t`the name is too long`,
    ELOOP: t`too many symbolic links`,
    ENXIO: t`not a regular file`,
  };
  const code = systemErrorCode(cause);
  if (code === "EMFILE" || code === "ENFILE") {
    const hint = t`allow more at once, such as by ulimit -n 8192`;
    return new LlqError("system", t`${path}: too many files are open`, { hint, cause });
  }
  const hint = code === "ENOENT" ? meantBy(path) : undefined;
  return new LlqError("bad-input", `${path}: ${why[code ?? ""] ?? t`cannot be opened (${code ?? cause})`}`, {
    hint,
    cause,
  });
}

/** Names of a folder that are compared. */
const MOST_NAMES = 1000;

/** What a path that leads nowhere may have been meant for. */
export function meantBy(path: string): string {
  if (/-\d{5}-of-\d{5}\.\w+$/.test(path)) return t`all parts belong in one folder: fetch this one too`;
  const folder = dirname(path);
  let names: string[];
  try {
    names = readdirSync(folder).slice(0, MOST_NAMES);
  } catch {
    return t`there is no folder ${folder}`;
  }
  const ending = extname(path);
  const alike = names.filter((name) => extname(name) === ending);
  const near = nearest(basename(path), alike);
  return near === undefined
    ? t`check the name: paths start in the folder where llq is run`
    : t`did you mean ${join(folder, near)}?`;
}
