import { type HubReference, isSafePath } from "llq/browser";
import { HubProblem } from "./problem.js";
import type { Hub } from "./requests.js";

/** A file of a repository. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** Of large files; small ones are known to git only. */
  readonly sha256: string | undefined;
}

export interface Listing {
  /** The commit that the revision is. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

const MAX_PAGE_BYTES = 16 << 20;
const MAX_PAGES = 100;

/** The commit and the files of a repository. @throws HubProblem */
export async function listRepository(hub: Hub, { owner, name, revision }: HubReference): Promise<Listing> {
  const api = `${hub.settings.endpoint}/api/models/${owner}/${name}`;
  const [info] = await page(hub, new URL(`${api}/revision/${encodeURIComponent(revision)}`));
  const commit = field(info, "sha");
  if (typeof commit !== "string" || !/^[0-9a-f]{40}$/.test(commit)) throw broken(hub);
  const files: HubFile[] = [];
  let next: URL | undefined = new URL(`${api}/tree/${commit}?recursive=true`);
  for (let pages = 0; next !== undefined; pages++) {
    const [entries, after]: [unknown, URL | undefined] = await page(hub, next);
    if (!Array.isArray(entries) || pages === MAX_PAGES) throw broken(hub);
    files.push(...entries.flatMap((entry) => fileOf(hub, entry)));
    next = after;
  }
  return { commit, files };
}

function fileOf(hub: Hub, entry: unknown): HubFile[] {
  if (field(entry, "type") !== "file") return [];
  const lfs = field(entry, "lfs");
  const [path, size, sha256] = [field(entry, "path"), field(lfs ?? entry, "size"), field(lfs, "oid")];
  if (typeof path !== "string" || !isSafePath(path) || !Number.isSafeInteger(size) || (size as number) < 0) {
    throw broken(hub);
  }
  const isSum = typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
  if (lfs !== undefined && !isSum) throw broken(hub);
  return [{ path, size: size as number, sha256: isSum ? sha256 : undefined }];
}

/** An object's own field; of anything else, nothing. */
function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

/** A page of JSON, and where the next is. */
async function page(hub: Hub, url: URL): Promise<[unknown, URL | undefined]> {
  const { bytes, isWhole, headers } = await hub.retry(() => hub.read(url, MAX_PAGE_BYTES));
  const [, link] = /<([^>]+)>\s*;\s*rel="next"/.exec(headers.get("link") ?? "") ?? [];
  const next = link === undefined ? undefined : new URL(link, url);
  // The token goes with it: it must not lead elsewhere.
  if (!isWhole || (next !== undefined && next.origin !== url.origin)) throw broken(hub);
  try {
    return [JSON.parse(new TextDecoder().decode(bytes)), next];
  } catch {
    throw broken(hub);
  }
}

function broken(hub: Hub): HubProblem {
  return new HubProblem("hubNonsense", hub.settings.endpoint);
}
