import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { writeError } from "../run/write/encode.js";
import { RepositoryCache } from "./cache.js";
import { type FetchOptions, fetchFiles, fetchModel, fileUrl } from "./fetch-model.js";
import { HubClient, readBody } from "./http.js";
import { type HubFile, listRepository } from "./listing.js";
import { formatHubReference, type HubReference } from "./reference.js";
import { selectFiles } from "./select.js";
import type { HubSettings } from "./settings.js";
import { isWholeHeader } from "./whole-header.js";

export interface HeaderOptions extends FetchOptions {
  /** What else is wanted of a folder: everything but weights, or config.json alone, without headers of weights. */
  readonly others: "all" | "config";
}

export interface FetchedHeaders {
  /** The file or folder to open. What its files hold beyond their headers is a hole. */
  readonly path: string;
  /** Deletes what is not in the cache. */
  readonly discard: () => void;
}

/**
 * Fetches of a model what describes it: configuration, tokenizer, and the headers of files of weights, which get
 * their size but not their contents, in a temporary folder. A model whose weights are in another format than
 * safetensors or GGUF is fetched whole, as is what is wanted offline.
 * @throws LlqError as fetchModel
 */
export async function fetchHeaders(
  reference: HubReference,
  settings: HubSettings,
  options: HeaderOptions,
): Promise<FetchedHeaders> {
  const weightless = options.others === "config";
  const whole = async () => ({
    ...(await fetchModel(reference, settings, { ...options, weightless })),
    discard: () => {},
  });
  if (settings.offline) return whole();
  const client = new HubClient(settings, options.signal);
  const { commit, files } = await listRepository(client, reference);
  const paths = files.map(({ path }) => path);
  const { weights, others, open } = selectFiles(formatHubReference(reference), paths, reference.path);
  const isFolder = !paths.includes(open);
  const config = others.filter((path) => basename(path) === "config.json");
  const isConfigEnough = options.others === "config" && isFolder && config.length > 0;
  if (!isConfigEnough && !weights.every((path) => /\.(safetensors|gguf|json)$/.test(path))) return whole();
  const cache = new RepositoryCache(settings.cache, reference);
  const filesOf = (wanted: readonly string[]) => files.filter(({ path }) => wanted.includes(path));
  const small = filesOf(
    isConfigEnough ? config : [...others, ...weights.filter((path) => path.endsWith(".json"))],
  );
  await fetchFiles(client, cache, reference, commit, small, options);
  const temporary = mkdtempSync(join(tmpdir(), "llq-headers-"));
  const discard = () => rmSync(temporary, { recursive: true, force: true });
  // Models are called by their folders, and metadata is made of the name.
  const folder = join(temporary, reference.name);
  try {
    mkdirSync(folder);
    for (const file of small.filter(({ path }) => !path.includes("additional_chat_templates/")))
      symlinkSync(cache.blobPath(file), join(folder, basename(file.path)));
    for (const file of isConfigEnough ? [] : filesOf(weights.filter((path) => !path.endsWith(".json")))) {
      const header = await fetchHeader(
        client,
        fileUrl(settings.endpoint, reference, commit, file.path),
        file,
      );
      writeHollow(join(folder, basename(file.path)), header, file.size);
    }
  } catch (error) {
    discard();
    throw error;
  }
  return { path: isFolder ? folder : join(folder, basename(open)), discard };
}

/** How much of a file is asked for, as long as its header does not end there. */
const ATTEMPTS = [1 << 20, 1 << 24, 1 << 28];

/** The beginning of a file up to where its header ends, or a little more. */
async function fetchHeader(client: HubClient, url: URL, file: HubFile): Promise<Uint8Array> {
  let start: Uint8Array = new Uint8Array(0);
  for (const length of ATTEMPTS) {
    start = await fetchStart(client, url, Math.min(length, file.size));
    if (start.length === file.size || isWholeHeader(start)) break;
  }
  return start;
}

async function fetchStart(client: HubClient, url: URL, length: number): Promise<Uint8Array> {
  if (length === 0) return new Uint8Array(0);
  return client.retry(async () => {
    const answer = await client.get(url, { range: `bytes=0-${length - 1}` });
    return readBody(answer, url, length, "cut");
  });
}

function writeHollow(path: string, start: Uint8Array, size: number): void {
  try {
    writeFileSync(path, start);
    truncateSync(path, size);
  } catch (cause) {
    throw writeError(path, cause);
  }
}
