import * as v from "valibot";
import { LlqError } from "../../formats/errors.js";
import { parseJson } from "../../formats/json.js";
import { t } from "../language/t.js";
import { type HubClient, readBody, shown } from "./http.js";
import { formatHubReference, type HubReference, isSafePath } from "./reference.js";

/** A file of a repository. */
export interface HubFile {
  /** From the repository's root, divided by slashes. Safe to put below a folder. */
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
}

/** What a file's bytes hash to; also the name of its blob in the cache. */
export interface Digest {
  /** Large files are known by their sha256, others by what git calls them. */
  readonly algorithm: "sha256" | "git-sha1";
  readonly hex: string;
}

export interface Listing {
  /** The commit that the revision is, of 40 hexadecimal digits. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

const MAX_PAGE_BYTES = 16 << 20;
const MAX_PAGE_VALUES = 2 ** 19;
const MAX_FILES = 100_000;

const Sha1 = v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/));
const Sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const Size = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const Info = v.object({ sha: Sha1 });
const Entry = v.object({
  path: v.pipe(v.string(), v.check(isSafePath)),
  size: Size,
  oid: Sha1,
  lfs: v.optional(v.object({ oid: Sha256, size: Size })),
});

/**
 * The commit and the files of a repository, without following anything that the reference names inside it.
 * @throws LlqError `bad-input` when there is no such repository or revision, `network`
 */
export async function listRepository(client: HubClient, reference: HubReference): Promise<Listing> {
  const { listFiles, modelInfo } = await import("@huggingface/hub"); // large, and few runs need it
  const { owner, name, revision } = reference;
  const repo = `${owner}/${name}`;
  const options = { hubUrl: client.settings.endpoint, fetch: fetchThrough(client) };
  const broken = () =>
    new LlqError(
      "network",
      t`${formatHubReference(reference)}: ${client.settings.endpoint} sends no valid listing`,
      {
        hint: t`HF_ENDPOINT must name a Hugging Face Hub or a mirror of it`,
      },
    );
  try {
    const info = v.safeParse(
      Info,
      await modelInfo({ ...options, name: repo, revision, additionalFields: ["sha"] }),
    );
    if (!info.success) throw broken();
    const commit = info.output.sha;
    const files: HubFile[] = [];
    for await (const entry of listFiles({ ...options, repo, revision: commit, recursive: true })) {
      if (entry.type !== "file") continue;
      const parsed = v.safeParse(Entry, entry);
      if (!parsed.success || files.length === MAX_FILES) throw broken();
      const { path, size, oid, lfs } = parsed.output;
      files.push(
        lfs === undefined
          ? { path, size, digest: { algorithm: "git-sha1", hex: oid } }
          : { path, size: lfs.size, digest: { algorithm: "sha256", hex: lfs.oid } },
      );
    }
    return { commit, files };
  } catch (error) {
    throw error instanceof LlqError ? error : broken();
  }
}

/** @throws Error for a page that is no JSON or takes too much memory */
function checkPage(bytes: Uint8Array): void {
  try {
    parseJson("page", bytes, MAX_PAGE_VALUES);
  } catch (cause) {
    throw new Error("no page of a listing", { cause });
  }
}

/** What the library calls in place of fetch: with our retries, our token and a limit on what is read. */
function fetchThrough(client: HubClient): typeof fetch {
  let pages = 0;
  return async (input) => {
    if (pages++ === client.settings.maxPages) {
      throw new LlqError(
        "network",
        t`${client.settings.endpoint}: lists more than ${client.settings.maxPages} pages`,
      );
    }
    const url = new URL(input instanceof Request ? input.url : input);
    return client.retry(async () => {
      const answer = await client.get(url, { accept: "application/json" });
      const bytes = await readBody(answer, url, MAX_PAGE_BYTES, "fail");
      checkPage(bytes); // before the library takes it, which has no limits
      if (answer.status !== 200) throw new LlqError("network", t`${shown(url)}: status ${answer.status}`);
      return new Response(bytes as BodyInit, { headers: answer.headers });
    });
  };
}
