import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";

/** A model on the Hugging Face Hub, or one file or folder of its repository. */
export interface HubReference {
  readonly owner: string;
  readonly name: string;
  /** Inside the repository; empty for its root. */
  readonly path: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

const PREFIX = "hf:";
const FORM = () => t`hf:owner/name, hf:owner/name/file.gguf, hf:owner/name@revision`;

export function isHubReference(text: string): boolean {
  return text.startsWith(PREFIX);
}

/** Reads `hf:owner/name[/path][@revision]`. @throws LlqError `usage` */
export function parseHubReference(text: string): HubReference {
  const [, owner, name, path = "", revision = "main"] =
    /^hf:([^/@]*)\/([^/@]*)(?:\/([^@]*))?(?:@(.*))?$/s.exec(text) ?? [];
  const fail = (why: string, hint = FORM()): never => {
    throw new LlqError("usage", `${text}: ${why}`, { hint });
  };
  if (owner === undefined || name === undefined) return fail(t`names no repository of the Hub`);
  for (const part of [owner, name]) {
    if (!isRepositoryPart(part)) fail(t`${JSON.stringify(part)} is no name of an owner or a repository`);
  }
  if (path !== "" && !isSafePath(path)) fail(t`${JSON.stringify(path)} is no path inside a repository`);
  if (!isSafePath(revision)) {
    fail(t`${JSON.stringify(revision)} is no name of a branch, a tag or a commit`);
  }
  if (/\.(gguf|safetensors)$/.test(revision)) {
    fail(t`the revision comes last`, `hf:${owner}/${name}/file.gguf@revision`);
  }
  return { owner, name, path, revision };
}

/** The Hub's rule for names; among others it keeps `--` for the cache's folders. */
function isRepositoryPart(part: string): boolean {
  return /^(?!.*(--|\.\.))[A-Za-z0-9_][\w.-]{0,95}$/.test(part) && !/[.-]$/.test(part);
}

/**
 * Whether `path` stays below any folder it is put in, on every system: parts that are plain names, divided by
 * slashes. Holds for revisions too, which become paths in the cache.
 */
export function isSafePath(path: string): boolean {
  return path.length <= 1024 && path.split("/").every((part) => isSafeName(part));
}

function isSafeName(part: string): boolean {
  return part !== "" && part !== "." && part !== ".." && !/[\p{Cc}\p{Cs}\\:*?"<>|]/u.test(part);
}

/** As the user would write it. */
export function formatHubReference({ owner, name, path, revision }: HubReference): string {
  const file = path === "" ? "" : `/${path}`;
  return `${PREFIX}${owner}/${name}${file}${revision === "main" ? "" : `@${revision}`}`;
}
