import { rowCount, rowLength } from "../../tensor.js";
import type { Linear, MixerPlan, NormPlan } from "../plan/types.js";
import { multiply, packInput } from "../products/matmul.js";
import type { Rows, Weights } from "../products/weights.js";
import { addProduct, normed, piecesOf, type Work } from "../work.js";
import type { Mixer } from "./mixer.js";
import { type RecurrentShape, RecurrentState, recurrentBytes } from "./state/recurrent-state.js";

// What mixers share that keep as much of a sequence however long it is.

/** What the shape of its states says of such a mixer: they keep all of a sequence, or none. */
export function recurrent<P extends MixerPlan>(
  shape: (plan: P, weights: Pick<Weights, "share">) => RecurrentShape,
): Pick<Mixer<never, P>, "canTruncate" | "stateBytes" | "createState"> {
  return {
    canTruncate: (_, __, had, length) => length === had.length,
    stateBytes: (plan, weights) => recurrentBytes(shape(plan, weights)),
    createState: (kernels, plan, weights) => new RecurrentState(kernels, shape(plan, weights)),
  };
}

/** A part of a chunk's state, where the chunk goes on from one; else 0, as kernels have it. */
export function statePart({ states }: Work, chunk: number, index: number): number {
  return (states as readonly RecurrentState[] | undefined)?.[chunk]?.parts[index] ?? 0;
}

/** Says that the states are those behind the batch's tokens. */
export function advanceStates({ states, batch }: Work): void {
  for (const state of (states as readonly RecurrentState[] | undefined) ?? []) state.advance(batch.context);
}

/** y = linear(norm(from)) for each of the products, [tokens][rows], of which this thread has its rows. */
export function project(
  work: Work,
  norm: NormPlan | undefined,
  from: number,
  input: string,
  products: readonly (readonly [linear: Linear, y: number])[],
): void {
  const { kernels, batch } = work;
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const n = normed(work, norm, from + first * batch.width * 4, count, input);
    const linears = products.map(([linear]) => linear);
    const packed = packInput(work, n, count, linears);
    for (const [linear, y] of products) {
      multiply(work, linear, packed, y + first * rowCount(linear.weight) * 4, "copy_columns");
    }
    kernels.reset(mark);
  }
}

/** x += postNorm(output(y)), y being [tokens][columns of output]. */
export function addOutput(
  work: Work,
  output: Linear,
  postNorm: NormPlan | undefined,
  y: number,
  x: number,
  input: string,
): void {
  const { kernels, batch } = work;
  const mark = kernels.mark();
  const columns = rowLength(output.weight);
  for (const [first, count] of piecesOf(batch)) {
    const at = y + first * columns * 4;
    work.squares?.add(input, at, count, columns);
    addProduct(work, output, postNorm, at, x + first * batch.width * 4, count);
    kernels.reset(mark);
  }
}

/**
 * to[t] = silu(conv(from)), both [tokens][channels], of some runs of channels. What the convolution still sees of run i
 * is part i + `part` of a state.
 */
export function convolve(
  work: Work,
  conv: Linear,
  from: number,
  to: number,
  runs: readonly Rows[],
  part = 1,
): void {
  const { kernels, weights, batch } = work;
  const mark = kernels.mark();
  const [row, kernel] = [rowCount(conv.weight) * 4, rowLength(conv.weight)];
  const weight = weights.transposed(kernels, conv.weight);
  const bias = conv.bias && weights.vector(kernels, conv.bias);
  for (let chunk = 0; chunk < batch.chunks; chunk++) {
    for (const [i, [first, channels]] of runs.entries()) {
      const at = chunk * batch.context * row + first * 4;
      const offsets = bias === undefined ? 0 : bias + first * 4;
      kernels.call("ssm_conv")(
        ...([from + at, row, weight + first * 4, row, offsets, to + at, row] as const),
        ...([batch.context, channels, kernel, statePart(work, chunk, i + part)] as const),
      );
    }
  }
  kernels.reset(mark);
}

/** For each chunk and each of this thread's heads, the head's state of so many floats: part 0, or zeros. */
export function scanHeads(
  work: Work,
  [firstHead, heads]: Rows,
  floats: number,
  scan: (chunk: number, head: number, state: number) => void,
): void {
  const { kernels, batch } = work;
  const mark = kernels.mark();
  const fresh = kernels.reserve(floats * 4);
  for (let chunk = 0; chunk < batch.chunks; chunk++) {
    const kept = statePart(work, chunk, 0);
    for (let i = 0; i < heads; i++) {
      if (kept === 0) kernels.bytes(fresh, floats * 4).fill(0);
      scan(chunk, firstHead + i, kept === 0 ? fresh : kept + i * floats * 4);
    }
  }
  kernels.reset(mark);
}
