import type { Kernels } from "../kernels/kernels.js";
import type { Prefix } from "./mixers/prefix.js";
import type { Columns } from "./plan/types.js";
import type { Meeting } from "./team/exchange.js";

/** Tokens that go through a layer together: as many of each chunk. Plain data. */
export interface Batch {
  readonly chunks: number;
  readonly context: number;
  /** Of a hidden state. */
  readonly width: number;
  /** Position of each chunk's first token; absent: 0. */
  readonly starts?: readonly number[] | undefined;
  /** Tokens that all chunks begin with, and that were there before. Default: 0, or nobody knows. */
  readonly begun?: number | undefined;
  /** Of each chunk, in models whose texts begin with one. */
  readonly prefixes?: readonly Prefix[] | undefined;
  /** Of all chunks, in models whose layers look at the tokens themselves. */
  readonly tokens?: Int32Array | undefined;
}

/**
 * Chunks that a job works on: where their hidden states are, and what layers keep for others, [chunks][context][floats] in
 * f32. Plain data.
 */
export interface Span extends Batch {
  readonly hidden: SharedArrayBuffer;
  /** Of a token. */
  readonly floats: number;
  /** The first of the chunks, counted from the start of `hidden`. */
  readonly first: number;
  /** Where all threads do the span's jobs together: what they meet by. */
  readonly meeting?: Meeting | undefined;
}

/** Which chunks, and which tokens of them, for a report of a bug. */
export function aboutSpan({ first, chunks, context }: Span): string {
  return `chunks ${first} to ${first + chunks - 1} of ${context} tokens`;
}

/** Tokens in the batch. */
export function batchTokens({ chunks, context }: Batch): number {
  return chunks * context;
}

/** Bytes of what so many chunks take from layer to layer. */
export function hiddenBytes(chunks: number, context: number, floats: number): number {
  return chunks * context * floats * 4;
}

/** What the span's tokens take from layer to layer, as it is shared between threads. */
export function hiddenStates({ hidden, first, chunks, context, floats }: Span): Float32Array {
  return new Float32Array(hidden, hiddenBytes(first, context, floats), chunks * context * floats);
}

/** A copy of so many hidden states of each token in the kernels' memory, [tokens][width] each. */
export function loadStates(kernels: Kernels, span: Span, count: number): number[] {
  return Array.from({ length: count }, (_, i) => loadColumns(kernels, span, [i * span.width, span.width]));
}

/** Puts them back. */
export function storeStates(kernels: Kernels, span: Span, states: readonly number[]): void {
  states.forEach((x, i) => {
    storeColumns(kernels, span, [i * span.width, span.width], x);
  });
}

/** A copy of some floats of each token in the kernels' memory, [tokens][count]. */
export function loadColumns(kernels: Kernels, span: Span, columns: Columns): number {
  const x = roomFor(kernels, span, columns);
  const [states, own] = [hiddenStates(span), kernels.floats(x, batchTokens(span) * columns[1])];
  copyRows(states, span.floats, columns[0], own, columns[1], 0, columns[1]);
  return x;
}

/** Puts them back. */
export function storeColumns(kernels: Kernels, span: Span, columns: Columns, x: number): void {
  const [states, own] = [hiddenStates(span), kernels.floats(x, batchTokens(span) * columns[1])];
  copyRows(own, columns[1], 0, states, span.floats, columns[0], columns[1]);
}

/** Room for as much in the kernels' memory. */
export function roomFor(kernels: Kernels, batch: Batch, [, count]: Columns): number {
  return kernels.reserve(batchTokens(batch) * count * 4);
}

/** Columns of one matrix become columns of another, which are rows of so many floats each. */
function copyRows(
  from: Float32Array,
  fromWidth: number,
  fromFirst: number,
  to: Float32Array,
  toWidth: number,
  toFirst: number,
  count: number,
): void {
  if (fromWidth === toWidth && fromWidth === count) {
    to.set(from);
    return;
  }
  for (let row = 0; row * fromWidth < from.length; row++) {
    const at = row * fromWidth + fromFirst;
    to.set(from.subarray(at, at + count), row * toWidth + toFirst);
  }
}

/** The tokens of some chunks, one after the other. */
export function joinTokens(parts: readonly Int32Array[]): Int32Array {
  const joined = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
