import type { Kernels } from "../kernels/kernels.js";
import type { Prefix } from "./mixers/prefix.js";

/** Tokens that go through a layer together: as many of each chunk. Plain data. */
export interface Batch {
  readonly chunks: number;
  readonly context: number;
  /** Of a hidden state. */
  readonly width: number;
  /** Position of each chunk's first token; absent: 0. */
  readonly starts?: readonly number[] | undefined;
  /** Of each chunk, in models whose texts begin with one. */
  readonly prefixes?: readonly Prefix[] | undefined;
}

/** Chunks that a job works on: where their hidden states are, [chunks][context][width] in f32. Plain data. */
export interface Span extends Batch {
  readonly hidden: SharedArrayBuffer;
  /** The first of the chunks, counted from the start of `hidden`. */
  readonly first: number;
}

/** Which chunks, and which tokens of them, for a report of a bug. */
export function aboutSpan({ first, chunks, context }: Span): string {
  return `chunks ${first} to ${first + chunks - 1} of ${context} tokens`;
}

/** Tokens in the batch. */
export function batchTokens({ chunks, context }: Batch): number {
  return chunks * context;
}

/** Bytes of the hidden states of so many chunks. */
export function hiddenBytes(chunks: number, context: number, width: number): number {
  return chunks * context * width * 4;
}

/** The span's hidden states, as they are shared between threads. */
export function hiddenStates({ hidden, first, chunks, context, width }: Span): Float32Array {
  return new Float32Array(hidden, hiddenBytes(first, context, width), chunks * context * width);
}

/** A copy of the hidden states in the kernels' memory. */
export function loadHidden(kernels: Kernels, span: Span): number {
  const states = hiddenStates(span);
  const x = kernels.reserve(states.byteLength);
  kernels.floats(x, states.length).set(states);
  return x;
}

/** Puts them back. */
export function storeHidden(kernels: Kernels, span: Span, x: number): void {
  const states = hiddenStates(span);
  states.set(kernels.floats(x, states.length));
}
