import { outputInput } from "../../net/head.js";
import type { InputPlan } from "../../net/inputs.js";
import type { HeadPlan } from "../../net/plan/types.js";
import type { Activations } from "../../net/products/matmul.js";
import { streamWeights } from "../../net/products/streamed.js";
import { aboutSpan, batchTokens, loadStates, type Span } from "../../net/span.js";
import { type LayerSquares, Squares } from "../../net/squares.js";
import { statesOf } from "../../net/streams.js";
import type { Descriptors } from "../../rows/rows.js";
import type { JobKind } from "../../run/threads/messages.js";
import { rowLength } from "../../tensor.js";

/** Work for one thread: the squares of what goes into the output matrix, of some chunks behind all layers. Plain data. */
export interface OutputSquaresJob {
  readonly files: Descriptors;
  readonly activations: Activations;
  readonly span: Span;
  readonly head: HeadPlan;
}

const INPUT = "output";

export const outputSquaresJob: JobKind<OutputSquaresJob, LayerSquares> = {
  name: "output squares",
  run: ({ files, activations, span, head }, kernels) => {
    kernels.reset();
    const on = { kernels, weights: streamWeights(files), activations };
    const states = loadStates(kernels, span, statesOf({ expand: head.merge }));
    const squares = new Squares(kernels, span);
    squares.add(INPUT, outputInput(on, head, states, batchTokens(span)), batchTokens(span), span.width);
    return squares.result;
  },
  about: ({ span }) => aboutSpan(span),
};

/** The matrix, as inputsOf has those of a layer. */
export function outputInputs({ output }: HeadPlan): ReadonlyMap<string, InputPlan> {
  return new Map([
    [INPUT, { matrices: [{ weight: output, bias: undefined }], columns: rowLength(output), experts: 0 }],
  ]);
}

/** Bytes of kernel memory that so many tokens take: each hidden state, what is made of it, and their sum. */
export function outputSquaresMemory({ output, merge }: HeadPlan, tokens: number): number {
  const states = statesOf({ expand: merge });
  return tokens * 4 * rowLength(output) * (states === 1 ? 1 : 2 * states + 1);
}
