import { createHash } from "node:crypto";
import type { Container } from "../../../formats/container.js";
import { withFiles } from "../threads/scope.js";
import { tensorPieces } from "../write/pieces.js";

export type Digest = "sha1" | "sha256" | "uuid";

export const DIGESTS: readonly Digest[] = ["sha1", "sha256", "uuid"];

/** One digest of the bytes of one tensor, or of all of them in the order of the file. */
export interface HashLine {
  readonly digest: Digest;
  readonly value: string;
  /** Undefined for all of them. */
  readonly tensor: string | undefined;
}

export interface HashOptions {
  readonly digests?: readonly Digest[];
  /** A digest of each tensor, too (of a UUID there is one of all only). */
  readonly tensors?: boolean;
  readonly signal?: AbortSignal;
  /** Bytes done, of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** uuid5(NAMESPACE_URL, "en.wikipedia.org/wiki/Llama.cpp") */
const NAMESPACE = Buffer.from("ef001206dadc5f6da15f3359e577d4e5", "hex");

/** What gguf-hash passes over: masks and tables that old converters wrote. */
const PASSED_OVER = /\.attention\.(masked_)?bias$|\.rotary_emb\.inv_freq$/;

/**
 * Digests as gguf-hash has them: of tensors' bytes alone, so that files with other metadata, or in other parts, have the
 * same. The UUID is version 5 of all bytes in llama.cpp's namespace.
 * @throws LlqError `bad-input` when a file changes or ends early
 */
export function hashTensors(container: Container, options: HashOptions = {}): Promise<HashLine[]> {
  const { digests = DIGESTS, tensors = true, signal, onProgress } = options;
  const kinds = digests.filter((digest) => digest !== "uuid") as ("sha1" | "sha256")[];
  const all = kinds.map((kind) => createHash(kind));
  const uuid = digests.includes("uuid") ? createHash("sha1").update(NAMESPACE) : undefined;
  const hashed = [...container.tensors].filter(([name]) => !PASSED_OVER.test(name));
  const total = hashed.reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
  return withFiles(async (open) => {
    const files = open(container.files);
    const lines: HashLine[] = [];
    let done = 0;
    for (const [tensor, source] of hashed) {
      const own = tensors ? kinds.map((kind) => createHash(kind)) : [];
      for await (const piece of tensorPieces(container, files, source, signal)) {
        for (const hash of [...all, ...own]) hash.update(piece);
        uuid?.update(piece);
        done += piece.length;
        onProgress?.(done, total);
      }
      own.forEach((hash, i) => {
        lines.push({ digest: kinds[i]!, value: hash.digest("hex"), tensor });
      });
    }
    all.forEach((hash, i) => {
      lines.push({ digest: kinds[i]!, value: hash.digest("hex"), tensor: undefined });
    });
    if (uuid !== undefined) {
      lines.push({ digest: "uuid", value: uuidOf(uuid.digest()), tensor: undefined });
    }
    return lines;
  });
}

/** RFC 9562: version 5, variant 1 0 in bits. */
function uuidOf(sha1: Buffer): string {
  const bytes = Buffer.from(sha1.subarray(0, 16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
