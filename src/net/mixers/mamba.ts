import type { MixerTraits } from "../../arch/traits.js";
import { rowCount, rowLength, type Tensor } from "../../tensor.js";
import { part } from "../plan/finder.js";
import type { Half, Linear, MixerPlan } from "../plan/types.js";
import { multiply, packInput, slabMemory } from "../products/matmul.js";
import { batchTokens } from "../span.js";
import { addProduct, normed, piecesOf, type Work } from "../work.js";
import type { Mixer, PlanParts, RunSize } from "./mixer.js";

/** The tensors of a block of Mamba; matrices that a file has fused are parts of one tensor here. */
export interface MambaPlan extends MixerPlan {
  readonly kind: "mamba";
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

export const mambaMixer: Mixer<MixerTraits & { kind: "mamba" }, MambaPlan> = {
  kind: "mamba",
  plan,
  inputs: ({ x, z, step, b, c, dt, output }) => [
    ["ssm_in", [x, z]],
    ["ssm_x", [step, b, c]],
    ["ssm_dt", [dt]],
    ["ssm_out", [output]],
  ],
  memory,
  run,
};

function plan(_: MixerTraits, { find, hparams }: PlanParts): MambaPlan {
  const { innerSize, stateSize, timeStepRank } = hparams.ssm;
  const [input, fromX] = [find.linear("ssm_in")!, find.linear("ssm_x")!];
  return {
    kind: "mamba",
    x: part(input, 0, innerSize),
    z: part(input, innerSize, innerSize),
    conv: find.linear("ssm_conv")!,
    step: part(fromX, 0, timeStepRank),
    b: part(fromX, timeStepRank, stateSize),
    c: part(fromX, timeStepRank + stateSize, stateSize),
    dt: find.linear("ssm_dt")!,
    a: find.tensor("ssm_a")!,
    d: find.tensor("ssm_d")!,
    output: find.linear("ssm_out")!,
  };
}

/**
 * x += output(scan(silu(conv(x(n)))) × silu(z(n))) with n = norm(from): Mamba's block (arXiv:2312.00752, figure 3). Each
 * chunk begins with an empty state.
 */
function run(work: Work, { norm, plan: layer, postNorm }: Half<MambaPlan>, from: number, x: number): void {
  const { kernels, batch } = work;
  const tokens = batchTokens(batch);
  const inner = rowCount(layer.x.weight);
  const states = rowCount(layer.b.weight);
  const room = (width: number) => kernels.reserve(tokens * width * 4);
  const start = kernels.mark();
  const scanned = { x: room(inner), dt: room(inner), b: room(states), c: room(states) };
  const gate = room(inner);
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const n = normed(work, norm, from + first * batch.width * 4, count, "ssm_in");
    const input = packInput(work, n, count, [layer.x, layer.z]);
    multiply(work, layer.x, input, scanned.dt + first * inner * 4, "copy_columns");
    multiply(work, layer.z, input, gate + first * inner * 4, "copy_columns");
    kernels.reset(mark);
  }
  convolve(work, layer, scanned.dt, scanned.x, inner);
  for (const [first, count] of piecesOf(batch)) {
    const convolved = scanned.x + first * inner * 4;
    work.squares?.add("ssm_x", convolved, count, inner);
    const input = packInput(work, convolved, count, [layer.step, layer.b, layer.c]);
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
  scan(work, layer, scanned, inner, states);
  kernels.call("silu_mul")(gate, scanned.x, scanned.x, tokens * inner);
  for (const [first, count] of piecesOf(batch)) {
    const y = scanned.x + first * inner * 4;
    work.squares?.add("ssm_out", y, count, inner);
    addProduct(work, layer.output, postNorm, y, x + first * batch.width * 4, count);
    kernels.reset(mark);
  }
  kernels.reset(start);
}

/** to[t] = silu(conv(from)), both [tokens][inner]. */
function convolve(work: Work, { conv }: MambaPlan, from: number, to: number, inner: number): void {
  const { kernels, batch } = work;
  const mark = kernels.mark();
  const weight = work.weights.transposed(kernels, conv.weight);
  const bias = work.weights.vector(kernels, conv.bias!);
  for (let chunk = 0; chunk < batch.chunks; chunk++) {
    const at = chunk * batch.context * inner * 4;
    const kernel = rowLength(conv.weight);
    kernels.call("ssm_conv")(from + at, weight, bias, to + at, batch.context, inner, kernel);
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
function scan(work: Work, layer: MambaPlan, { x, dt, b, c }: Scanned, inner: number, states: number): void {
  const { kernels, batch } = work;
  const mark = kernels.mark();
  const a = work.weights.transposed(kernels, layer.a);
  const d = work.weights.vector(kernels, layer.d);
  const scratch = kernels.reserve(states * 32);
  for (let chunk = 0; chunk < batch.chunks; chunk++) {
    const at = chunk * batch.context * 4;
    kernels.call("ssm_scan")(
      x + at * inner,
      dt + at * inner,
      a,
      b + at * states,
      c + at * states,
      d,
      x + at * inner,
      batch.context,
      inner,
      states,
      scratch,
    );
  }
  kernels.reset(mark);
}

function memory({ x, b, step, output }: MambaPlan, { width, tokens, piece }: RunSize): number {
  const [inner, states] = [rowCount(x.weight), rowCount(b.weight)];
  const products = slabMemory(x.weight, piece) + slabMemory(output.weight, piece);
  return (
    4 * (tokens * (3 * inner + 2 * states) + piece * (2 * inner + 2 * width + rowCount(step.weight))) +
    products
  );
}
