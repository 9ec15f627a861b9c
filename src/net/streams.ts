import { rowCount, rowLength } from "../tensor.js";
import { normalize } from "./norm.js";
import type { DecoderPlan, StreamMixing, StreamProjections } from "./plan/types.js";
import { exchange, type Multiplier, multiply, packInput, slabMemory } from "./products/matmul.js";
import type { Work } from "./work.js";

// Alternating updates (AltUp, arXiv:2301.13310): a token has several hidden states, one of which goes through a layer; what
// the layer makes of it is predicted for all of them before, and corrected behind.

/** Hidden states of a token. */
export function statesOf({ expand }: Pick<DecoderPlan, "expand">): number {
  return 1 + (expand?.matrices.length ?? 0);
}

/** Squares of a length, over its numbers, that are at least this much. */
const LEAST_SQUARE = 1e-5;

/** The hidden states that stand beside the first, [tokens][width] each; the memory is the caller's to give back. */
export function expandStreams(
  on: Multiplier,
  { matrices }: StreamProjections,
  first: number,
  tokens: number,
): number[] {
  const width = rowLength(matrices[0]!.weight);
  const others = matrices.map(() => on.kernels.reserve(tokens * width * 4));
  const mark = on.kernels.mark();
  for (const [i, matrix] of matrices.entries()) {
    const x = others[i]!;
    multiply(on, matrix, packInput(on, first, tokens, [matrix]), x, "copy_columns");
    exchange(on, tokens, [matrix, x]);
    matchLength(on, first, x, tokens, width);
    on.kernels.reset(mark);
  }
  return [first, ...others];
}

/** The first of the hidden states becomes the mean of all, the others multiplied and made as long as the first. */
export function mergeStreams(
  on: Multiplier,
  { matrices }: StreamProjections,
  states: readonly number[],
  tokens: number,
): void {
  const { kernels } = on;
  const [first, ...others] = states as [number, ...number[]];
  const width = rowLength(matrices[0]!.weight);
  const mark = kernels.mark();
  const sum = kernels.reserve(tokens * width * 4);
  kernels.bytes(sum, tokens * width * 4).set(kernels.bytes(first, tokens * width * 4));
  const inner = kernels.mark();
  for (const [i, matrix] of matrices.entries()) {
    const x = kernels.reserve(tokens * width * 4);
    multiply(on, matrix, packInput(on, others[i]!, tokens, [matrix]), x, "copy_columns");
    exchange(on, tokens, [matrix, x]);
    matchLength(on, first, x, tokens, width);
    kernels.call("add_columns")(x, 0, sum, 0, 1, tokens * width);
    kernels.reset(inner);
  }
  kernels.bytes(first, tokens * width * 4).set(kernels.bytes(sum, tokens * width * 4));
  kernels.call("scale")(first, tokens * width, 1 / states.length);
  kernels.reset(mark);
}

/** Makes each row of x as long as that of `like`. */
function matchLength({ kernels }: Multiplier, like: number, x: number, tokens: number, width: number): void {
  for (let at = 0; at < tokens * width * 4; at += width * 4) {
    const wanted = Math.sqrt(meanSquare(kernels.floats(like + at, width)));
    const found = Math.sqrt(Math.max(LEAST_SQUARE, meanSquare(kernels.floats(x + at, width))));
    kernels.call("scale")(x + at, width, wanted / found);
  }
}

function meanSquare(row: Float32Array): number {
  let sum = 0;
  for (const value of row) sum += value * value;
  return sum / row.length;
}

/** Each state s_i becomes s_i + Σ coefficient(i, j) s_j, coefficients being of the state that is active. */
export function predictStreams(
  work: Work,
  { predict, active, ...mixing }: StreamMixing,
  states: readonly number[],
  tokens: number,
): void {
  const { kernels, weights, batch } = work;
  const { width } = batch;
  const mark = kernels.mark();
  const kinds = kindsOf(work, mixing, states[active]!, tokens);
  const count = states.length;
  const matrix = kernels.floats(weights.transposed(kernels, predict), count ** 3).slice(); // [count][count²]
  const row = kernels.reserve(count * width * 4);
  for (let token = 0; token < tokens; token++) {
    const at = token * width * 4;
    const own = kinds.subarray(token * count, (token + 1) * count);
    states.forEach((state, j) => {
      kernels.floats(row + j * width * 4, width).set(kernels.floats(state + at, width));
    });
    for (const [i, state] of states.entries()) {
      for (let j = 0; j < count; j++) {
        let coefficient = 0;
        for (let k = 0; k < count; k++) coefficient += matrix[k * count * count + i * count + j]! * own[k]!;
        kernels.call("add_scaled")(row + j * width * 4, coefficient, state + at, width);
      }
    }
  }
  kernels.reset(mark);
}

/** Each state, as it was predicted, gets its share of what the layer made of the active one beyond the prediction. */
export function correctStreams(
  work: Work,
  { correct, active, ...mixing }: StreamMixing,
  states: readonly number[],
  made: number,
  tokens: number,
): void {
  const { kernels, weights, batch } = work;
  const { width } = batch;
  const mark = kernels.mark();
  const kinds = kindsOf(work, mixing, made, tokens);
  const count = states.length;
  const matrix = kernels.floats(weights.transposed(kernels, correct), count ** 2).slice(); // [count][count]
  const beyond = kernels.reserve(width * 4);
  for (let token = 0; token < tokens; token++) {
    const at = token * width * 4;
    const own = kinds.subarray(token * count, (token + 1) * count);
    kernels.floats(beyond, width).set(kernels.floats(made + at, width));
    kernels.call("add_scaled")(states[active]! + at, -1, beyond, width);
    for (const [i, state] of states.entries()) {
      let share = 1;
      for (let k = 0; k < count; k++) share += matrix[k * count + i]! * own[k]!;
      kernels.call("add_scaled")(beyond, share, state + at, width);
    }
  }
  kernels.reset(mark);
}

/** tanh(router · norm(x) / width), [tokens][count]: what of each kind a token is. */
function kindsOf(
  work: Work,
  { router, norm }: Pick<StreamMixing, "router" | "norm">,
  x: number,
  tokens: number,
): Float64Array {
  const { kernels, batch } = work;
  const mark = kernels.mark();
  const count = rowCount(router.weight);
  const logits = kernels.reserve(tokens * count * 4);
  const n = kernels.reserve(tokens * batch.width * 4);
  normalize(work, norm, x, n, tokens);
  kernels.call("scale")(n, tokens * batch.width, 1 / batch.width);
  multiply(work, router, packInput(work, n, tokens, [router]), logits, "copy_columns");
  exchange(work, tokens, [router, logits]);
  const kinds = Float64Array.from(kernels.floats(logits, tokens * count), Math.tanh);
  kernels.reset(mark);
  return kinds;
}

/** Bytes of kernel memory that they take beside the states, for so many tokens at once. */
export function streamMemory({ matrices }: StreamProjections, tokens: number): number {
  const width = rowLength(matrices[0]!.weight);
  return 4 * (3 * tokens + matrices.length + 2) * width + slabMemory(matrices[0]!.weight, tokens);
}
