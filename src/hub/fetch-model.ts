import { mkdirSync, statfsSync } from "node:fs";
import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";
import { writeError } from "../run/write/encode.js";
import { withLock } from "../run/write/lock.js";
import { RepositoryCache } from "./cache.js";
import { download } from "./download.js";
import { HubClient, isUnreachable } from "./http.js";
import { type HubFile, type Listing, listRepository } from "./listing.js";
import { formatHubReference, type HubReference } from "./reference.js";
import { type Selection, selectFiles } from "./select.js";
import type { HubSettings } from "./settings.js";

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the model that are here, and that it has. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** What else there is will do without weights. */
  readonly weightless?: boolean | undefined;
  /** Told what the user should know, such as that an older copy is used. */
  readonly onRemark?: ((message: string) => void) | undefined;
}

/** A model in the cache. */
export interface FetchedModel {
  /** The file or folder to open. */
  readonly path: string;
  readonly commit: string;
}

/**
 * Brings the files that a model on the Hub needs into the cache that all tools for the Hub share, and says where
 * they are. Files that are there already are not fetched again.
 * @throws LlqError `bad-input` when there is no such model, `network` when it cannot be had, `no-space`
 */
export async function fetchModel(
  reference: HubReference,
  settings: HubSettings,
  options: FetchOptions = {},
): Promise<FetchedModel> {
  const cache = new RepositoryCache(settings.cache, reference);
  if (settings.offline) return cachedModel(cache, reference, t`HF_HUB_OFFLINE is set`, options);
  const client = new HubClient(settings, options.signal);
  let listing: Listing;
  try {
    listing = await listRepository(client, reference);
  } catch (error) {
    // What was fetched before is better than nothing, but not where the Hub refuses.
    if (!isUnreachable(error) || cache.knownCommit(reference.revision) === undefined) throw error;
    const model = cachedModel(cache, reference, t`the Hub cannot be reached`, options);
    options.onRemark?.(t`${error.message}; using commit ${model.commit.slice(0, 12)} of the cache`);
    return model;
  }
  const shown = formatHubReference(reference);
  const paths = listing.files.map(({ path }) => path);
  const selection = selectFiles(shown, paths, reference.path);
  const wanted = new Set(wantedFiles(shown, selection));
  const files = listing.files.filter(({ path }) => wanted.has(path));
  checkSpace(settings.cache, cache, files);
  await fetchFiles(client, cache, reference, listing.commit, files, options);
  cache.noteCommit(reference.revision, listing.commit);
  return { path: cache.snapshotPath(listing.commit, selection.open), commit: listing.commit };
}

/** Without asking the Hub. */
function cachedModel(
  cache: RepositoryCache,
  reference: HubReference,
  why: string,
  { weightless }: FetchOptions,
): FetchedModel {
  const commit = cache.knownCommit(reference.revision);
  const shown = formatHubReference(reference);
  if (commit === undefined) {
    throw new LlqError("network", t`${shown}: ${why}, and it is not in the cache`, {
      hint: t`fetch it once with the Hub at hand; HF_HOME and HF_HUB_CACHE say where the cache is`,
    });
  }
  const { open, weights } = selectFiles(shown, cache.snapshotFiles(commit), reference.path);
  if (weights.length === 0 && !weightless) {
    throw new LlqError("network", t`${shown}: ${why}, and the cache has its configuration only`, {
      hint: t`fetch it once with the Hub at hand`,
    });
  }
  return { path: cache.snapshotPath(commit, open), commit };
}

function wantedFiles(shown: string, { weights, others, open }: Selection): readonly string[] {
  if (weights.length > 0) return [...others, ...weights];
  const where = open === "" ? "" : t` in ${open}`;
  throw new LlqError("bad-input", t`${shown}: the repository has a configuration${where}, but no weights`);
}

/** Brings the files into the cache and into the snapshot of the commit. */
export async function fetchFiles(
  client: HubClient,
  cache: RepositoryCache,
  reference: HubReference,
  commit: string,
  files: readonly HubFile[],
  { signal, onProgress }: FetchOptions,
): Promise<void> {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const file of files) {
    const onBytes = (done: number) => onProgress?.(before + done, total);
    if (!cache.has(file)) {
      await withLock(cache.lockPath(file), signal, async () => {
        if (cache.has(file)) return; // another process was faster
        await download(client, {
          url: fileUrl(client.settings.endpoint, reference, commit, file.path),
          file,
          partial: cache.partialPath(file),
          target: cache.blobPath(file),
          onBytes,
        });
      });
    }
    cache.link(commit, file);
    onBytes(file.size);
    before += file.size;
  }
}

export function fileUrl(endpoint: string, { owner, name }: HubReference, commit: string, path: string): URL {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return new URL(`${endpoint}/${owner}/${name}/resolve/${commit}/${encoded}`);
}

function checkSpace(folder: string, cache: RepositoryCache, files: readonly HubFile[]): void {
  const missing = files.filter((file) => !cache.has(file));
  const needed = missing.reduce((sum, file) => sum + Math.max(0, file.size - cache.partialSize(file)), 0);
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw writeError(folder, cause);
  }
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (needed <= free) return;
  throw new LlqError("no-space", t`${folder}: needs ${needed} bytes for the model, but has ${free} free`, {
    hint: t`free some space, or let HF_HUB_CACHE name a folder on another disk`,
  });
}
