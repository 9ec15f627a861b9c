import type { Kernels } from "../kernels/kernels.js";
import type { Descriptors } from "../rows/rows.js";
import { rowLength, type Tensor } from "../tensor.js";
import { normalize } from "./norm.js";
import type { HeadPlan } from "./plan/types.js";
import {
  type Activations,
  type Multiplier,
  multiplySlab,
  packInput,
  type Slab,
  slabMemory,
} from "./products/matmul.js";
import { streamWeights } from "./products/streamed.js";
import { hiddenStates, type Span } from "./span.js";
import { mergeStreams } from "./streams.js";

/** What turns hidden states into logits. Plain data. */
export interface Head extends HeadPlan {
  readonly files: Descriptors;
  readonly activations: Activations;
}

/** Consecutive positions of each chunk of a span. */
export interface Positions {
  readonly span: Span;
  readonly first: number;
  readonly count: number;
}

/** Logits of some tokens for the vocabulary's `first` to `first + rows`. The memory is the caller's to give back. */
export type Logits = (first: number, rows: number) => Slab;

/** Makes the logits of the positions ready to be had, a slab of the vocabulary at a time. */
export function openHead(kernels: Kernels, head: Head, positions: Positions): Logits {
  const on = { kernels, weights: streamWeights(head.files), activations: head.activations };
  const count = 1 + (head.merge?.matrices.length ?? 0);
  const states = Array.from({ length: count }, (_, i) => loadPositions(kernels, positions, i));
  return openLogits(on, head, states, positions.span.chunks * positions.count);
}

/** The same of hidden states [tokens][width] each, the first of which are normalized in place. */
export function openLogits(
  on: Multiplier,
  head: HeadPlan,
  states: readonly number[],
  tokens: number,
): Logits {
  const { kernels } = on;
  const { output, outputBias, logitScale, logitSoftcap } = head;
  const x = outputInput(on, head, states, tokens);
  const linear = { weight: output, bias: outputBias };
  const input = packInput(on, x, tokens, [linear]);
  return (first, rows) => {
    const slab = multiplySlab(on, linear, input, first, rows);
    const floats = (tokens * slab.stride) / 4;
    if (logitScale !== undefined) kernels.call("scale")(slab.y, floats, logitScale);
    if (logitSoftcap !== undefined) kernels.call("softcap")(slab.y, floats, logitSoftcap);
    return slab;
  };
}

/** What goes into the output matrix [tokens][width], in the place of the first of the hidden states. */
export function outputInput(
  on: Multiplier,
  { merge, output_norm }: Pick<HeadPlan, "merge" | "output_norm">,
  states: readonly number[],
  tokens: number,
): number {
  const x = states[0]!;
  if (merge !== undefined) mergeStreams(on, merge, states, tokens);
  normalize(on, output_norm, x, x, tokens);
  return x;
}

/** Bytes of kernel memory that the logits of so many tokens take. */
export function headMemory(output: Tensor, tokens: number): number {
  return tokens * 8 * rowLength(output) + slabMemory(output, tokens);
}

/** One of the hidden states of these positions only, one after the other. */
function loadPositions(kernels: Kernels, { span, first, count }: Positions, state: number): number {
  const states = hiddenStates(span);
  const { chunks, context, width, floats } = span;
  const x = kernels.reserve(chunks * count * width * 4);
  const chosen = kernels.floats(x, chunks * count * width);
  for (let i = 0; i < chunks * count; i++) {
    const from = (Math.floor(i / count) * context + first + (i % count)) * floats;
    const own = from + state * width;
    chosen.set(states.subarray(own, own + width), i * width);
  }
  return x;
}
