import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import * as v from "valibot";
import { readFully } from "../../formats/bytes.js";
import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";
import { descriptorOf } from "../rows/late.js";
import { withFiles } from "../run/threads/scope.js";
import type { HubClient } from "./http.js";
import { type Digest, listRepository } from "./listing.js";
import { formatHubReference, type HubReference } from "./reference.js";
import { type Sent, sendThrough } from "./send.js";

/** A file on its way to a repository. */
export interface PushedFile extends Sent {
  /** Where it is, or what it is. */
  readonly content: { readonly file: string } | { readonly text: string };
}

export interface PushOptions {
  readonly title: string;
  /** Create the repository if there is none; otherwise that is refused. */
  readonly create?: "public" | "private" | undefined;
  /** Replace files that are there and differ. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes hashed or sent, of all. */
  readonly onProgress?: ((done: number, total: number, path: string) => void) | undefined;
}

export interface Pushed {
  readonly commit: string;
  /** Files that the repository had already, as they are. */
  readonly unchanged: readonly string[];
}

const Committed = v.object({
  commit: v.object({ oid: v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/)) }),
});

/**
 * Puts files into a repository, all in one commit: none of them is seen there before the last has arrived. Large ones go
 * where the endpoint says, without the token.
 * @throws LlqError `network`, `bad-input` for a repository that is not there or a file that changes, `usage` for files that
 * would be replaced
 */
export async function pushFiles(
  client: HubClient,
  reference: HubReference,
  files: readonly PushedFile[],
  options: PushOptions,
): Promise<Pushed> {
  const { commitIter, createRepo } = await import("@huggingface/hub"); // large, and few runs need it
  const repo = `${reference.owner}/${reference.name}`;
  const hubUrl = client.settings.endpoint;
  let committing = false;
  const send = sendThrough(client, files, () => {
    committing = true;
  });
  try {
    if (options.create !== undefined) {
      await createRepo({ repo, hubUrl, visibility: options.create, accessToken: OURS, fetch: send });
    }
    const there = await presentFiles(client, reference);
    const isThere = (file: PushedFile) => isSame(file, there.get(file.path));
    const changed = files.filter((file) => !isThere(file));
    const replaced = changed.filter(({ path }) => there.has(path));
    if (replaced.length > 0 && !options.force) throw refusal(reference, replaced);
    const steps = commitIter({
      repo,
      hubUrl,
      branch: reference.revision,
      title: options.title,
      operations: files.map(({ path, content }) => ({
        operation: "addOrUpdate",
        path,
        content: "file" in content ? pathToFileURL(content.file) : new Blob([content.text]),
      })),
      fetch: send,
      useXet: false,
      ...(options.signal && { abortSignal: options.signal }),
    });
    const total = files.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const progress = new Map<string, number>();
    for (;;) {
      const { done, value } = await steps.next();
      if (done) {
        const { success, output } = v.safeParse(Committed, value);
        if (!success) throw new Error(t`no commit`);
        const unchanged = files.filter(isThere).map(({ path }) => path);
        return { commit: output.commit.oid, unchanged };
      }
      if (value.event !== "fileProgress" || value.state !== "uploading") continue;
      const size = files.find(({ path }) => path === value.path)?.byteLength ?? 0;
      progress.set(value.path, value.progress * size);
      const sent = [...progress.values()].reduce((sum, each) => sum + each, 0);
      options.onProgress?.(sent, total, value.path);
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    throw explained(error, reference, client, committing);
  }
}

/** The library wants a token of the Hub's form; what is sent is ours, and only to the endpoint. */
const OURS = "hf_llq";

async function presentFiles(client: HubClient, reference: HubReference): Promise<Map<string, Digest>> {
  const { files } = await listRepository(client, reference);
  return new Map(files.map(({ path, digest }) => [path, digest]));
}

function isSame({ sha256, content }: PushedFile, digest: Digest | undefined): boolean {
  if (digest?.algorithm === "sha256") return digest.hex === sha256;
  if (digest === undefined || !("text" in content)) return false;
  const bytes = Buffer.from(content.text);
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex") === digest.hex;
}

function refusal(reference: HubReference, files: readonly PushedFile[]): LlqError {
  const names = files.map(({ path }) => path).join(", ");
  return new LlqError(
    "usage",
    t`${formatHubReference(reference)}: has other files of these names: ${names}`,
    {
      hint: t`--force replaces them; older ones stay in the repository's history`,
    },
  );
}

/** Nothing of what the library says is shown: its messages may hold signed addresses. */
function explained(
  error: unknown,
  reference: HubReference,
  client: HubClient,
  committing: boolean,
): LlqError {
  const shown = formatHubReference(reference);
  const known =
    error instanceof LlqError
      ? error
      : new LlqError("network", t`${shown}: ${client.settings.endpoint} sends no valid answer`, {
          cause: error,
        });
  if (known.code !== "network") return known;
  const state = committing
    ? t`the commit was sent: look whether it is there before you push again`
    : t`nothing of it is visible there; pushing again sends only what has not arrived`;
  const hint = known.hint === undefined ? state : `${known.hint}; ${state}`;
  return new LlqError(known.code, known.message, { hint, cause: known });
}

const PIECE = 1 << 22;

/** SHA-256 of a whole file, as the Hub knows it. */
export function hashFile(
  path: string,
  signal: AbortSignal | undefined,
  onBytes: (count: number) => void,
): Promise<{ readonly sha256: string; readonly byteLength: number }> {
  return withFiles(async (open) => {
    const [file] = open([path]);
    const { size: byteLength } = statSync(path);
    const hash = createHash("sha256");
    const buffer = new Uint8Array(Math.min(PIECE, byteLength));
    for (let done = 0; done < byteLength; done += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, byteLength - done));
      readFully(descriptorOf(file!), path, piece, done);
      hash.update(piece);
      onBytes(piece.length);
      await new Promise(setImmediate);
      signal?.throwIfAborted();
    }
    return { sha256: hash.digest("hex"), byteLength };
  });
}
