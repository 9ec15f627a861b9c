import * as v from "valibot";
import { concatBytes, decodeLatin1, encodeUtf8 } from "#host/bytes";
import { closeSync, rmSync } from "#host/files";
import { crc32, createHash } from "#host/hash";
import { type ByteSource, FileSource } from "../../../formats/bytes.js";
import { badInput } from "../../../formats/errors.js";
import { openInput } from "../../../formats/inputs.js";
import { LLAMA_LOGITS_MAGIC, MAX_CHUNKS, readLlamaLogits } from "../../../formats/llama-logits.js";
import { t } from "../../language/t.js";
import { encodeFrame, FRAME_HEAD, whole } from "../../run/parts/frames.js";
import { claimOutputs, partialPath } from "../../run/write/claim.js";
import { writeFully } from "../../run/write/encode.js";
import { checkReadBack, createFile, publish, settle } from "../../run/write/output.js";
import { chooseProtocol, PROTOCOL_NAMES, type Protocol, scoredTokens } from "../perplexity/protocol.js";
import { type BaselineFile, decodeFrame, recordBytes } from "./baseline-record.js";
import type { Keep } from "./keep.js";

// A baseline file is what a base model says of a text: "llq_base", then frames (baseline-record.ts) of
//   a head (BaselineHead), the tokens of all chunks (i32 bytes), and a record for each chunk.
// Records are read by the threads that need them, a chunk at a time.

/** A base model's distributions over a text, in a file that is open. */
export interface Baseline {
  readonly path: string;
  /** The model it was made of, if the file says. */
  readonly model: string | undefined;
  readonly protocol: Protocol;
  /** As they were evaluated. */
  readonly chunks: readonly Int32Array[];
  readonly base: BaselineFile;
}

const MAGIC = "llq_base";
const VERSION = 1;
/** Bytes: MessagePack is decoded as a whole, and can ask for more memory than it has bytes. */
const MAX_HEAD = 1 << 16;
/** Of MessagePack before so many bytes of tokens. */
const TOKENS_HEAD = 5;
const DAMAGED = () => t`the file is truncated or damaged: make it again with --save`;

const baselineHead = v.object({
  version: v.literal(VERSION),
  model: v.string(),
  protocol: v.object({
    name: v.picklist(PROTOCOL_NAMES),
    context: v.pipe(whole, v.minValue(2)),
    stride: v.optional(v.pipe(whole, v.minValue(1))),
    firstPosition: whole,
    bos: v.optional(whole),
  }),
  vocabSize: v.pipe(whole, v.minValue(1)),
  chunks: v.pipe(whole, v.minValue(1), v.maxValue(MAX_CHUNKS)),
  /** SHA-256 of the tokens of all chunks. */
  fingerprint: v.string(),
  keep: v.variant("form", [
    v.object({ form: v.literal("top"), k: v.pipe(whole, v.minValue(1)) }),
    v.object({ form: v.literal("full") }),
  ]),
});
type BaselineHead = v.InferOutput<typeof baselineHead>;

/**
 * Opens a baseline file, ours or llama-perplexity's, for as long as `use` takes.
 * @param bos the token that begins the model's texts: llama-perplexity's file does not say whether one does
 * @throws LlqError `bad-input` when it is damaged or no such file
 */
export async function withBaseline<T>(
  path: string,
  bos: number | undefined,
  use: (baseline: Baseline) => Promise<T>,
): Promise<T> {
  const source = new FileSource(path);
  const { fd } = openInput(path);
  try {
    return await use(readBaseline(source, fd, bos));
  } finally {
    source.close();
    closeSync(fd);
  }
}

export function readBaseline(source: ByteSource, fd: number, bos: number | undefined): Baseline {
  const magic = decodeLatin1(source.read(0, Math.min(source.byteLength, MAGIC.length)));
  if (magic === LLAMA_LOGITS_MAGIC) return readLlamaBaseline(source, fd, bos);
  if (magic === MAGIC) return readOwnBaseline(source, fd);
  throw badInput(
    t`${source.name}: no baseline`,
    t`llq eval-ppl --save and llama-perplexity --kl-divergence-base write such files`,
  );
}

function readLlamaBaseline(source: ByteSource, fd: number, bos: number | undefined): Baseline {
  const { context, vocabSize, chunks, offset, chunkBytes } = readLlamaLogits(source);
  if (bos !== undefined) for (const chunk of chunks) chunk[0] = bos;
  const records = chunks.map((_, i) => ({ offset: offset + i * chunkBytes, byteLength: chunkBytes }));
  return {
    path: source.name,
    model: undefined,
    protocol: chooseProtocol({ context, bos }),
    chunks,
    base: { form: "codes", file: { fd, name: source.name }, vocabSize, records },
  };
}

function readOwnBaseline(source: ByteSource, fd: number): Baseline {
  let offset = MAGIC.length;
  const nextFrame = (most = Number.POSITIVE_INFINITY) => {
    const length = new DataView(source.read(offset, FRAME_HEAD).slice().buffer).getUint32(0, true);
    if (length > most)
      throw badInput(t`${source.name}: byte ${offset}: a record of ${length} bytes`, DAMAGED());
    const byteLength = FRAME_HEAD + length;
    if (offset + byteLength > source.byteLength) {
      const message = t`${source.name}: byte ${offset}: a record of ${length} bytes is cut short`;
      throw badInput(message, DAMAGED());
    }
    offset += byteLength;
    return { offset: offset - byteLength, byteLength };
  };
  const readNext = (most: number) => {
    const { offset, byteLength } = nextFrame(most);
    return decodeFrame(source.name, offset, source.read(offset, byteLength));
  };
  const head = v.safeParse(baselineHead, readNext(MAX_HEAD));
  if (!head.success)
    throw badInput(t`${source.name}: the head of the baseline is not what this version reads`);
  const { model, protocol, vocabSize, keep } = head.output;
  const chunks = toChunks(
    source.name,
    head.output,
    readNext(TOKENS_HEAD + 4 * head.output.chunks * protocol.context),
  );
  if (scoredTokens(protocol) < 1) throw badInput(t`${source.name}: the baseline scores no tokens`);
  const records = chunks.map(() => nextFrame(recordBytes(keep, vocabSize, scoredTokens(protocol))));
  if (offset !== source.byteLength) throw badInput(t`${source.name}: bytes are left over after ${offset}`);
  const base = { ...keep, file: { fd, name: source.name }, vocabSize, records };
  return { path: source.name, model, protocol, chunks, base };
}

function toChunks(file: string, head: BaselineHead, record: unknown): Int32Array[] {
  const { protocol, chunks, vocabSize, fingerprint } = head;
  const { context } = protocol;
  if (!(record instanceof Uint8Array) || record.length !== 4 * chunks * context) {
    throw badInput(t`${file}: the baseline has not the tokens of ${chunks} chunks of ${context}`);
  }
  const tokens = new Int32Array(record.slice().buffer);
  if (tokenFingerprint([tokens]) !== fingerprint || tokens.some((token) => token < 0 || token >= vocabSize)) {
    throw badInput(t`${file}: the baseline's tokens are damaged`);
  }
  return Array.from({ length: chunks }, (_, i) => tokens.subarray(i * context, (i + 1) * context));
}

function tokenFingerprint(chunks: readonly Int32Array[]): string {
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}

export interface BaselineWriter {
  /** Takes the records of the chunks in any order and writes them in theirs. */
  add(chunk: number, record: Uint8Array): void;
  /** Gives the file its name. */
  finish(): void;
  /** Removes what was written, unless it was finished. */
  close(): void;
}

/**
 * Starts a baseline file; it has another name until it is finished.
 * @throws LlqError as claimOutputs
 */
export function createBaseline(
  { path, force = false }: { readonly path: string; readonly force?: boolean | undefined },
  about: {
    readonly model: string;
    readonly vocabSize: number;
    readonly protocol: Protocol;
    readonly keep: Keep;
  },
  chunks: readonly Int32Array[],
): BaselineWriter {
  const claim = claimOutputs([path], { force });
  const partial = partialPath(path);
  let fd: number | undefined;
  let length = 0;
  let crc = 0;
  const close = () => {
    if (fd !== undefined) {
      closeSync(fd);
      rmSync(partial, { force: true });
    }
    claim.release();
  };
  const write = (bytes: Uint8Array) => {
    writeFully({ fd: fd!, name: path, offset: length }, bytes);
    length += bytes.length;
    crc = crc32(bytes, crc);
  };
  const head: BaselineHead = {
    ...about,
    version: VERSION,
    chunks: chunks.length,
    fingerprint: tokenFingerprint(chunks),
  };
  const tokens = chunks.map((chunk) => new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  try {
    fd = createFile(partial);
    for (const bytes of [encodeUtf8(MAGIC), encodeFrame(head), encodeFrame(concatBytes(tokens))])
      write(bytes);
  } catch (error) {
    close();
    throw error;
  }
  const waiting = new Map<number, Uint8Array>();
  let next = 0;
  return {
    add(chunk, record) {
      waiting.set(chunk, record);
      for (let ready = waiting.get(next); ready !== undefined; ready = waiting.get(next)) {
        write(ready);
        waiting.delete(next++);
      }
    },
    finish() {
      checkReadBack(fd!, path, crc, length);
      publish(path, settle(fd!, path, length), force);
    },
    close,
  };
}
