import { dtype } from "../../formats/dtype.js";
import { LlqError } from "../../formats/errors.js";
import type { HParams } from "../arch/hparams.js";

/** Types that llama.cpp keeps keys and values in. */
export const KV_TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0"] as const;
export type KvType = (typeof KV_TYPES)[number];

/** Tokens that llama.cpp computes at once (--ubatch-size). */
const BATCH = 512;
/** llama.cpp rounds contexts up to a multiple of this many tokens. */
export const CONTEXT_STEP = 256;

/** A number of bytes, and how it came about. */
export interface Amount {
  readonly bytes: number;
  /** The formula with this model's numbers, such as `2 × 32 layers × ...`. */
  readonly formula: string;
}

/** What a model needs beside its weights, by the reckoning of llama.cpp on a CPU. */
export interface RunMemory {
  readonly kv: Amount;
  readonly compute: Amount;
  readonly overhead: Amount;
}

/** Beside the weights, for a context of so many tokens. */
export function runMemory(h: HParams, tokens: number, kvType: KvType): RunMemory {
  const context = Math.ceil(tokens / CONTEXT_STEP) * CONTEXT_STEP;
  return { kv: kvCache(h, context, kvType), compute: computeBuffer(h, context), overhead: overhead(h) };
}

/** The sum of a run's parts. */
export function runBytes({ kv, compute, overhead }: RunMemory): number {
  return kv.bytes + compute.bytes + overhead.bytes;
}

/**
 * Keys and values of every layer: layers × KV heads × (key + value width) × tokens × bytes per element.
 * @throws LlqError `usage` when heads do not divide into the type's blocks, which llama.cpp refuses
 */
export function kvCache(h: HParams, context: number, kvType: KvType): Amount {
  const { blockCount, headCountKv, keyLength, valueLength } = h;
  const { name, blockSize, typeSize } = dtype(KV_DTYPE[kvType]);
  if (keyLength % blockSize !== 0 || valueLength % blockSize !== 0) {
    throw new LlqError("usage", `heads of ${keyLength} do not divide into ${name} blocks of ${blockSize}`, {
      hint: "--kv-type f16",
    });
  }
  const perElement = typeSize / blockSize;
  const bytes = blockCount * headCountKv * (keyLength + valueLength) * context * perElement;
  const widths = keyLength === valueLength ? `2 × ${keyLength}` : `(${keyLength} + ${valueLength})`;
  const formula = `${blockCount} layers × ${headCountKv} KV heads × ${widths} × ${context} tokens × ${perElement} bytes`;
  return { bytes, formula };
}

const KV_DTYPE = { f32: "F32", f16: "F16", bf16: "BF16", q8_0: "Q8_0", q4_0: "Q4_0" } as const;

/**
 * Intermediate results of a batch, attention without scores in memory (flash attention, llama.cpp's default): the
 * larger of what the output needs (logits, and the state before and after the norm) and what a block does (the
 * feed-forward's halves and product, four times the state), and which tokens see which. Found by comparing with
 * the buffers llama.cpp reserves: test/golden/fit.
 */
export function computeBuffer(h: HParams, context: number): Amount {
  const { vocabSize, embeddingLength: embd } = h;
  const width = feedForwardWidth(h);
  const elements = Math.max(vocabSize + 2 * embd, 3 * width + 4 * embd);
  const batch = Math.min(BATCH, context);
  const bytes = batch * (4 * elements + 2 * context);
  const largest = `max(${vocabSize} + 2 × ${embd}, 3 × ${width} + 4 × ${embd})`;
  return { bytes, formula: `${batch} tokens × (4 × ${largest} + 2 × ${context}) bytes` };
}

/** Of all the feed-forwards that a token goes through. */
function feedForwardWidth(h: HParams): number {
  if (h.expertCount === 0) return h.feedForwardLength;
  return h.expertUsedCount * h.expertFeedForwardLength;
}

const PROGRAM = 32 << 20;
const BYTES_PER_TOKEN = 512;

/** The program and its threads, and the vocabulary: llama.cpp takes 10 MiB and some 360 bytes a token, and we leave room. */
export function overhead({ vocabSize }: HParams): Amount {
  return {
    bytes: PROGRAM + BYTES_PER_TOKEN * vocabSize,
    formula: `${PROGRAM >> 20} MiB + ${BYTES_PER_TOKEN} bytes × ${vocabSize} vocabulary`,
  };
}

/**
 * The most tokens for which `needed` bytes are at most `budget`, in steps of CONTEXT_STEP, up to `most`.
 * Undefined if not even the first step fits.
 */
export function largestContext(
  most: number,
  budget: number,
  needed: (context: number) => number,
): number | undefined {
  if (needed(Math.min(CONTEXT_STEP, most)) > budget) return undefined;
  if (needed(most) <= budget) return most;
  let [fits, fails] = [1, Math.ceil(most / CONTEXT_STEP)];
  while (fails - fits > 1) {
    const middle = Math.floor((fits + fails) / 2);
    if (needed(middle * CONTEXT_STEP) <= budget) fits = middle;
    else fails = middle;
  }
  return fits * CONTEXT_STEP;
}
