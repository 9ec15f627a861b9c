import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";

// llq's own files are fetched once, when they are first needed.

const fetched = new Map<string, Promise<void>>();

/**
 * Fetches a gzipped file from beside the code, and has its content used before anything else is done with it.
 * @throws LlqError `network` when it cannot be had, which may be tried again
 */
export function fetchOnce(url: URL, use: (content: Uint8Array) => void): Promise<void> {
  const loading = fetched.get(url.href) ?? load(url).then(use);
  fetched.set(url.href, loading);
  loading.catch(() => fetched.delete(url.href));
  return loading;
}

async function load(url: URL): Promise<Uint8Array> {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return await unzipped(new Uint8Array(await response.arrayBuffer()));
  } catch (cause) {
    throw new LlqError("network", t`${url.href}: cannot be fetched (${(cause as Error).message})`, { cause });
  }
}

/** Some servers say of a gzipped file that it is sent gzipped: then it comes unpacked. */
async function unzipped(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
