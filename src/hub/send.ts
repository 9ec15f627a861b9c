import * as v from "valibot";
import { LlqError } from "../../formats/errors.js";
import { parseJson } from "../../formats/json.js";
import { t } from "../language/t.js";
import { type HubClient, readBody, shown } from "./http.js";

/** An answer to an upload is a few lines for each file. */
const MAX_ANSWER_BYTES = 16 << 20;
const MAX_ANSWER_VALUES = 2 ** 18;

/** Files of this size and more the Hub takes as large ones; what is not taken so, would be held in memory as text. */
const LARGEST_REGULAR = 10_000_000;

const Preupload = v.object({
  files: v.array(v.object({ path: v.string(), uploadMode: v.picklist(["lfs", "regular"]) })),
});
const Batch = v.object({
  objects: v.array(
    v.object({
      oid: v.string(),
      actions: v.optional(v.object({ upload: v.optional(v.object({ href: v.string() })) })),
    }),
  ),
});

/** What may be sent: files by their paths in the repository. */
export interface Sent {
  readonly path: string;
  readonly byteLength: number;
  readonly sha256: string;
}

/**
 * What the library calls in place of fetch when it sends: with our retries, our token for the endpoint alone, no redirects,
 * limits on what is read, and a look at what is asked before the library follows it.
 * @param onCommit called when the request that makes all of it visible is about to be sent
 */
export function sendThrough(client: HubClient, files: readonly Sent[], onCommit: () => void): typeof fetch {
  const { endpoint } = client.settings;
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const isOwn = url.origin === new URL(endpoint).origin;
    if (url.protocol !== "https:" && new URL(endpoint).protocol === "https:") {
      throw new LlqError(
        "network",
        t`${endpoint}: asks to send files to ${shown(url)}, which is not encrypted`,
      );
    }
    const request = isOwn ? requestOf(url.pathname) : undefined;
    if (request === "batch") checkHashes(init.body, files);
    if (request === "commit") onCommit();
    const { method = "GET", body } = init;
    const headers = Object.fromEntries(new Headers(init.headers));
    return client.retry(async () => {
      const answer = await client.send(url, { method, headers, body: body as string | Blob });
      const bytes = await readBody(answer, url, MAX_ANSWER_BYTES, "fail");
      if (request !== undefined) checkAnswer(url, request, bytes, files);
      const { headers: answered } = answer;
      return new Response(bytes as BodyInit, { headers: answered });
    });
  };
}

function requestOf(path: string): "preupload" | "batch" | "commit" | "other" {
  if (path.endsWith("/info/lfs/objects/batch")) return "batch";
  return (["preupload", "commit"] as const).find((name) => path.includes(`/${name}/`)) ?? "other";
}

/** @throws LlqError `bad-input` when a file is no longer what the card says of it */
function checkHashes(body: unknown, files: readonly Sent[]): void {
  const { objects = [] } = JSON.parse(String(body)) as { objects?: { oid: string }[] };
  for (const { oid } of objects) {
    if (files.some(({ sha256 }) => sha256 === oid)) continue;
    throw new LlqError("bad-input", t`a file has changed since its hash was taken`, {
      hint: t`push again when nothing writes to it`,
    });
  }
}

function checkAnswer(url: URL, request: string, bytes: Uint8Array, files: readonly Sent[]): void {
  const schema = { preupload: Preupload, batch: Batch }[request];
  const invalid = (why: string) =>
    new LlqError("network", `${shown(url)}: ${why}`, {
      hint: t`HF_ENDPOINT must name a Hugging Face Hub or a mirror of it`,
    });
  let value: unknown;
  try {
    value = parseJson("answer", bytes, MAX_ANSWER_VALUES);
  } catch {
    throw invalid(t`no valid answer`);
  }
  if (schema === undefined) return;
  const { success, output } = v.safeParse(schema, value);
  if (!success) throw invalid(t`no valid answer`);
  if (!("files" in output)) return;
  for (const { path, byteLength } of files) {
    const mode = output.files.find((file) => file.path === path)?.uploadMode;
    if (mode === undefined) throw invalid(t`says nothing of ${path}`);
    if (mode !== "lfs" && byteLength >= LARGEST_REGULAR) throw invalid(t`takes ${path} for a small file`);
  }
}
