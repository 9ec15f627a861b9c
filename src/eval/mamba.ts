import { rowCount, rowLength, type Tensor } from "../tensor.js";
import { addProduct, normed, piecesOf, type Work } from "./block.js";
import type { Linear, NormPlan } from "./decoder.js";
import { multiply, packInput, readTransposed, readVector, slabMemory } from "./matmul.js";
import { spanTokens } from "./span.js";

/** The tensors of a block of Mamba; matrices that a file has fused are parts of one tensor here. */
export interface MambaPlan {
  readonly block: "mamba";
  readonly norm: NormPlan;
  /** What is scanned, and the gate beside it. */
  readonly x: Linear;
  readonly z: Linear;
  /** [inner, kernel] and [inner]: every channel for itself. */
  readonly conv: Linear;
  /** From the convolved x: the step of few numbers, and how the state is fed and read. */
  readonly step: Linear;
  readonly b: Linear;
  readonly c: Linear;
  /** From the step of few numbers to one for each channel. */
  readonly dt: Linear;
  /** [inner, states] */
  readonly a: Tensor;
  /** [inner] */
  readonly d: Tensor;
  readonly output: Linear;
}

/**
 * x += output(scan(silu(conv(x(n)))) × silu(z(n))) with n = norm(x): Mamba's block (arXiv:2312.00752, figure 3). Each
 * chunk begins with an empty state.
 */
export function addMamba(work: Work<MambaPlan>, x: number): void {
  const { kernels, span, layer } = work;
  const tokens = spanTokens(span);
  const inner = rowCount(layer.x.weight);
  const states = rowCount(layer.b.weight);
  const room = (width: number) => kernels.reserve(tokens * width * 4);
  const start = kernels.mark();
  const scanned = { x: room(inner), dt: room(inner), b: room(states), c: room(states) };
  const gate = room(inner);
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(span)) {
    const n = normed(work, layer.norm, x + first * span.width * 4, count, "ssm_in");
    const input = packInput(work, n, count, [layer.x, layer.z]);
    multiply(work, layer.x, input, scanned.dt + first * inner * 4, "copy_columns");
    multiply(work, layer.z, input, gate + first * inner * 4, "copy_columns");
    kernels.reset(mark);
  }
  convolve(work, scanned.dt, scanned.x, inner);
  for (const [first, count] of piecesOf(span)) {
    const from = scanned.x + first * inner * 4;
    work.squares?.add("ssm_x", from, count, inner);
    const input = packInput(work, from, count, [layer.step, layer.b, layer.c]);
    multiply(work, layer.b, input, scanned.b + first * states * 4, "copy_columns");
    multiply(work, layer.c, input, scanned.c + first * states * 4, "copy_columns");
    const rank = rowCount(layer.step.weight);
    const step = kernels.reserve(count * rank * 4);
    multiply(work, layer.step, input, step, "copy_columns");
    work.squares?.add("ssm_dt", step, count, rank);
    const dt = scanned.dt + first * inner * 4;
    multiply(work, layer.dt, packInput(work, step, count, [layer.dt]), dt, "copy_columns");
    kernels.reset(mark);
  }
  kernels.call("softplus")(scanned.dt, tokens * inner);
  scan(work, scanned, inner, states);
  kernels.call("silu_mul")(gate, scanned.x, scanned.x, tokens * inner);
  for (const [first, count] of piecesOf(span)) {
    const y = scanned.x + first * inner * 4;
    work.squares?.add("ssm_out", y, count, inner);
    addProduct(work, layer.output, undefined, y, x + first * span.width * 4, count);
    kernels.reset(mark);
  }
  kernels.reset(start);
}

/** to[t] = silu(conv(from)), both [tokens][inner]. */
function convolve(work: Work<MambaPlan>, from: number, to: number, inner: number): void {
  const { kernels, layer, span } = work;
  const mark = kernels.mark();
  const weight = readTransposed(work, layer.conv.weight);
  const bias = readVector(work, layer.conv.bias!);
  const kernel = rowLength(layer.conv.weight);
  const row = inner * 4;
  for (let chunk = 0; chunk < span.chunks; chunk++) {
    const at = chunk * span.context * row;
    kernels.call("ssm_conv")(from + at, row, weight, row, bias, to + at, row, span.context, inner, kernel, 0);
  }
  kernels.reset(mark);
}

interface Scanned {
  readonly x: number;
  readonly dt: number;
  readonly b: number;
  readonly c: number;
}

/** The scan's outputs take the place of its inputs x. */
function scan(work: Work<MambaPlan>, { x, dt, b, c }: Scanned, inner: number, states: number): void {
  const { kernels, layer, span } = work;
  const mark = kernels.mark();
  const a = readTransposed(work, layer.a);
  const d = readVector(work, layer.d);
  const scratch = kernels.reserve(states * 32);
  for (let chunk = 0; chunk < span.chunks; chunk++) {
    const at = chunk * span.context * 4;
    kernels.call("ssm_scan")(
      x + at * inner,
      dt + at * inner,
      a,
      inner * 4,
      b + at * states,
      c + at * states,
      d,
      x + at * inner,
      inner * 4,
      span.context,
      inner,
      states,
      0,
      scratch,
    );
  }
  kernels.reset(mark);
}

/** Bytes of kernel memory that a block takes beside the hidden states of `tokens`; products are of `piece` tokens. */
export function mambaMemory({ x, b, step, output }: MambaPlan, tokens: number, piece: number): number {
  const [inner, states, width] = [rowCount(x.weight), rowCount(b.weight), rowLength(x.weight)];
  const products = slabMemory(x.weight, piece) + slabMemory(output.weight, piece);
  return (
    4 * (tokens * (3 * inner + 2 * states) + piece * (2 * inner + 2 * width + rowCount(step.weight))) +
    products
  );
}
