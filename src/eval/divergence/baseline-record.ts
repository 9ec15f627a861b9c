import * as v from "valibot";
import { decode } from "#host/records";
import { readFully } from "../../../formats/bytes.js";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { encodeFrame, frameContent } from "../../run/parts/frames.js";

// A baseline file is "llq_base" and frames, each  byte length u32 | CRC-32 u32 | a MessagePack record.  This is what
// a thread reads and makes of it, a chunk at a time; baseline.ts has the file as a whole.

/** Where the distributions after the scored tokens of some chunks are in a file. Plain data. */
export type BaselineFile = TopBaseline | FullBaseline | CodesBaseline;

export interface FileBase {
  /** An open descriptor; it is process-wide. */
  readonly file: { readonly fd: number; readonly name: string };
  readonly vocabSize: number;
  /** One for each chunk. */
  readonly records: readonly { readonly offset: number; readonly byteLength: number }[];
}

/** Ours: the `k` likeliest tokens. */
export interface TopBaseline extends FileBase {
  readonly form: "top";
  readonly k: number;
}

/** Ours: every token. */
export interface FullBaseline extends FileBase {
  readonly form: "full";
}

/** llama-perplexity's (formats/llama-logits.ts). */
export interface CodesBaseline extends FileBase {
  readonly form: "codes";
}

/** The likeliest tokens after each scored position of a chunk. */
export interface TopRecord {
  /** [scored]: -ln p of the token that follows. */
  readonly nll: Float64Array;
  /** [scored][k], the likeliest first. */
  readonly ids: Uint32Array;
  /** [scored][k]: ln p. */
  readonly logProbs: Float32Array;
  /** [scored]: the probability of all other tokens together. */
  readonly tail: Float32Array;
}

/** All tokens, after each scored position of a chunk. */
export interface FullRecord {
  readonly nll: Float64Array;
  /** [scored][vocabulary] of f16, shifted so that the likeliest is 0: as bytes. */
  readonly logits: Uint8Array;
}

/** @throws LlqError `bad-input` when the bytes are not those that were written */
export function decodeFrame(name: string, offset: number, frame: Uint8Array): unknown {
  const bytes = frameContent(frame);
  try {
    if (bytes !== undefined) return decode(bytes, LIMITS);
  } catch {
    // MessagePack that is none is damage too.
  }
  throw badInput(t`${name}: byte ${offset}: the record is damaged`, t`make the baseline again with --save`);
}

/** Maps of a few values and no lists: damaged counts must not be made room for. */
const LIMITS = { maxArrayLength: 0, maxMapLength: 16, maxExtLength: 0 };

export function encodeTopRecord({ nll, ids, logProbs, tail }: TopRecord): Uint8Array {
  return encodeFrame({
    nll: toBytes(nll),
    ids: toBytes(ids),
    logProbs: toBytes(logProbs),
    tail: toBytes(tail),
  });
}

/** Bytes of MessagePack that a chunk's record has at most. */
export function recordBytes(
  keep: { readonly form: "top"; readonly k: number } | { readonly form: "full" },
  vocabSize: number,
  scored: number,
): number {
  const names = 128;
  return names + scored * (keep.form === "top" ? 12 + 8 * keep.k : 8 + 2 * vocabSize);
}

export function encodeFullRecord({ nll, logits }: FullRecord): Uint8Array {
  return encodeFrame({ nll: toBytes(nll), logits });
}

const topRecord = v.object({
  nll: v.instance(Uint8Array),
  ids: v.instance(Uint8Array),
  logProbs: v.instance(Uint8Array),
  tail: v.instance(Uint8Array),
});
const fullRecord = v.object({ nll: v.instance(Uint8Array), logits: v.instance(Uint8Array) });

/** The record of the i-th chunk. @throws LlqError `bad-input` when it is damaged */
export function readTopRecord(base: TopBaseline, i: number, scored: number): TopRecord {
  const { nll, ids, logProbs, tail } = parseRecord(topRecord, base, i);
  const size = 4 * scored * base.k;
  checkSizes(base, i, [nll, ids, logProbs, tail], [8 * scored, size, size, 4 * scored]);
  return {
    nll: new Float64Array(nll.slice().buffer),
    ids: new Uint32Array(ids.slice().buffer),
    logProbs: new Float32Array(logProbs.slice().buffer),
    tail: new Float32Array(tail.slice().buffer),
  };
}

/** The record of the i-th chunk. @throws LlqError `bad-input` when it is damaged */
export function readFullRecord(base: FullBaseline, i: number, scored: number): FullRecord {
  const { nll, logits } = parseRecord(fullRecord, base, i);
  checkSizes(base, i, [nll, logits], [8 * scored, 2 * scored * base.vocabSize]);
  return { nll: new Float64Array(nll.slice().buffer), logits };
}

/** The rows of the i-th chunk. */
export function readLlamaRows({ file, records }: CodesBaseline, i: number): Uint8Array {
  const { offset, byteLength } = records[i]!;
  const bytes = new Uint8Array(byteLength);
  readFully(file.fd, file.name, bytes, offset);
  return bytes;
}

function parseRecord<T>(schema: v.GenericSchema<unknown, T>, { file, records }: FileBase, i: number): T {
  const { offset, byteLength } = records[i]!;
  const frame = new Uint8Array(byteLength);
  readFully(file.fd, file.name, frame, offset);
  const parsed = v.safeParse(schema, decodeFrame(file.name, offset, frame));
  if (parsed.success) return parsed.output;
  throw badInput(t`${file.name}: byte ${offset}: no record of a chunk`);
}

function checkSizes(
  base: FileBase,
  i: number,
  values: readonly Uint8Array[],
  expected: readonly number[],
): void {
  if (values.every(({ length }, j) => length === expected[j])) return;
  const at = t`${base.file.name}: byte ${base.records[i]!.offset}`;
  throw badInput(t`${at}: the record has ${values.map(({ length }) => length)} bytes, expected ${expected}`);
}

function toBytes({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
