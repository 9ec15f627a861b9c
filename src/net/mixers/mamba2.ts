import { LlqError } from "../../../formats/errors.js";
import type { MixerTraits } from "../../arch/traits.js";
import { asVector, rowCount, rowLength, type Tensor } from "../../tensor.js";
import { normalize } from "../norm.js";
import { part } from "../plan/finder.js";
import type { Half, Linear, MixerPlan, NormPlan } from "../plan/types.js";
import { exchange, multiply, packInput, slabMemory } from "../products/matmul.js";
import type { Rows, Weights } from "../products/weights.js";
import { batchTokens } from "../span.js";
import { addProduct, normed, piecesOf, type Work } from "../work.js";
import type { Mixer, PlanParts, RunSize } from "./mixer.js";
import { type RecurrentShape, RecurrentState, recurrentBytes } from "./state/recurrent-state.js";

/** The tensors of a block of Mamba-2; matrices that a file has fused are parts of one tensor here. */
export interface Mamba2Plan extends MixerPlan {
  readonly kind: "mamba2";
  readonly heads: number;
  /** Heads of a group have the same b and c. */
  readonly groups: number;
  /** Channels of a head. */
  readonly width: number;
  /** Numbers that make up a channel's state. */
  readonly states: number;
  /** What steps are at least. */
  readonly leastStep: number;
  /** Of the output. */
  readonly gate: Linear;
  /** What is scanned, and how the states of each group are fed and read, below each other. */
  readonly xbc: Linear;
  /** A row for each head. */
  readonly dt: Linear;
  /** [channels, kernel] of x, b and c: every channel for itself. */
  readonly conv: Linear;
  /** [heads], and so the two below. */
  readonly a: Tensor;
  readonly d: Tensor;
  readonly bias: Tensor;
  /** Of the channels of a group; some have none. */
  readonly norm: NormPlan | undefined;
  readonly output: Linear;
}

export const mamba2Mixer: Mixer<MixerTraits & { kind: "mamba2" }, Mamba2Plan> = {
  kind: "mamba2",
  plan,
  inputs: ({ gate, xbc, dt, output }) => [
    ["ssm_in", [gate, xbc, dt]],
    ["ssm_out", [output]],
  ],
  memory,
  canTruncate: (_, __, had, length) => length === had.length,
  stateBytes: (plan, weights) => recurrentBytes(stateShape(plan, weights)),
  createState: (kernels, plan, weights) => new RecurrentState(kernels, stateShape(plan, weights)),
  run,
};

/** @throws LlqError `unsupported` for widths that are no multiples of 4 */
function plan(_: MixerTraits, { find, hparams }: PlanParts): Mamba2Plan {
  const { innerSize: inner, stateSize: states, groupCount: groups, timeStepRank: heads } = hparams.ssm;
  const [input, fed, width] = [find.linear("ssm_in")!, groups * states, inner / heads];
  if (width % 4 !== 0 || fed % 2 !== 0) {
    throw new LlqError("unsupported", `heads of a state space with ${width} channels, no multiple of 4`);
  }
  return {
    ...{ kind: "mamba2", heads, groups, width, states, leastStep: hparams.ssm.leastStep },
    gate: part(input, 0, inner),
    xbc: part(input, inner, inner + 2 * fed),
    dt: part(input, 2 * (inner + fed), heads),
    conv: find.linear("ssm_conv")!,
    a: asVector(find.tensor("ssm_a")!),
    d: asVector(find.tensor("ssm_d")!),
    bias: find.tensor("ssm_dt_bias")!,
    norm: find.norm("ssm_norm"),
    output: find.linear("ssm_out")!,
  };
}

/**
 * x += output(norm(scan(silu(conv(xbc(n)))) × silu(gate(n)))) with n = norm(from): Mamba-2's block (arXiv:2405.21060,
 * figure 6). A thread does its heads.
 */
function run(work: Work, { norm, plan: layer, postNorm }: Half<Mamba2Plan>, from: number, x: number): void {
  const { kernels, weights, batch } = work;
  const tokens = batchTokens(batch);
  const inner = layer.heads * layer.width;
  const own = weights.share(layer.heads);
  const room = (width: number) => kernels.reserve(tokens * width * 4);
  const start = kernels.mark();
  const linears = [layer.gate, layer.xbc, layer.dt] as const;
  const products = linears.map((linear) => [linear, room(rowCount(linear.weight))] as const);
  const [gate, xbc, dt] = products.map(([, y]) => y) as [number, number, number];
  const [convolved, o] = [room(rowCount(layer.xbc.weight)), room(inner)];
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const n = normed(work, norm, from + first * batch.width * 4, count, "ssm_in");
    const input = packInput(work, n, count, linears);
    const parts = products.map(([linear, y]) => {
      const at = y + first * rowCount(linear.weight) * 4;
      multiply(work, linear, input, at, "copy_columns");
      return [linear, at] as const;
    });
    exchange(work, count, ...parts);
    kernels.reset(mark);
  }
  convolve(work, layer, xbc, convolved, own);
  scan(work, layer, { convolved, dt, o }, own);
  const [at, channels] = [own[0] * layer.width, own[1] * layer.width];
  for (let token = 0; token < tokens; token++) {
    const y = (token * inner + at) * 4;
    kernels.call("silu_mul")(gate + y, o + y, o + y, channels);
  }
  weights.exchange(kernels, tokens, [{ y: o, width: inner, first: at, count: channels }]);
  for (const [first, count] of piecesOf(batch)) {
    const y = o + first * inner * 4;
    if (layer.norm !== undefined) normalize(work, layer.norm, y, y, count * layer.groups);
    work.squares?.add("ssm_out", y, count, inner);
    addProduct(work, layer.output, postNorm, y, x + first * batch.width * 4, count);
    kernels.reset(mark);
  }
  for (const state of statesOf(work) ?? []) state.advance(batch.context);
  kernels.reset(start);
}

function statesOf({ states }: Work): readonly RecurrentState[] | undefined {
  return states as readonly RecurrentState[] | undefined;
}

/** What a thread's heads need: their own channels, and b and c of all groups. */
function ownChannels(layer: Mamba2Plan, [first, count]: Rows): readonly [x: Rows, bc: Rows] {
  const { heads, width, groups, states } = layer;
  return [
    [first * width, count * width],
    [heads * width, 2 * groups * states],
  ];
}

/** to[t] = silu(conv(from)), both [tokens][channels], of the channels that the heads need. */
function convolve(work: Work, layer: Mamba2Plan, from: number, to: number, own: Rows): void {
  const { kernels, weights, batch } = work;
  const { weight: matrix, bias: offsets } = layer.conv;
  const mark = kernels.mark();
  const [row, kernel] = [rowCount(matrix) * 4, rowLength(matrix)];
  const weight = weights.transposed(kernels, matrix);
  const bias = offsets === undefined ? kernels.reserve(row) : weights.vector(kernels, offsets);
  if (offsets === undefined) kernels.bytes(bias, row).fill(0);
  for (let chunk = 0; chunk < batch.chunks; chunk++) {
    for (const [i, [first, channels]] of ownChannels(layer, own).entries()) {
      const at = chunk * batch.context * row + first * 4;
      const state = statesOf(work)?.[chunk]?.parts[1 + i] ?? 0;
      kernels.call("ssm_conv")(
        ...[from + at, row, weight + first * 4, row, bias + first * 4, to + at, row],
        ...[batch.context, channels, kernel, state],
      );
    }
  }
  kernels.reset(mark);
}

interface Scanned {
  /** x, b and c. */
  readonly convolved: number;
  readonly dt: number;
  readonly o: number;
}

function scan(work: Work, layer: Mamba2Plan, { convolved, dt, o }: Scanned, own: Rows): void {
  const { kernels, weights, batch } = work;
  const { heads, groups, width, states } = layer;
  const mark = kernels.mark();
  const [rates, skips, bias] = [layer.a, layer.d, layer.bias].map((vector) =>
    weights.vector(kernels, vector),
  ) as [number, number, number];
  kernels.call("ssm2_steps")(dt, bias, layer.leastStep, batchTokens(batch), heads);
  const [row, steps, out] = [rowCount(layer.xbc.weight) * 4, heads * 4, heads * width * 4];
  const fresh = kernels.reserve(states * width * 4);
  const [firstHead, count] = own;
  for (let chunk = 0; chunk < batch.chunks; chunk++) {
    const token = chunk * batch.context;
    const kept = statesOf(work)?.[chunk]?.parts[0];
    for (let i = 0; i < count; i++) {
      const head = firstHead + i;
      const x = convolved + token * row;
      const b = x + (heads * width + Math.floor((head * groups) / heads) * states) * 4;
      if (kept === undefined) kernels.bytes(fresh, states * width * 4).fill(0);
      const state = kept === undefined ? fresh : kept + i * states * width * 4;
      kernels.call("ssm2_scan")(
        ...[x + head * width * 4, b, b + groups * states * 4, row, dt + token * steps + head * 4, steps],
        ...[kernels.floats(rates, heads)[head]!, kernels.floats(skips, heads)[head]!],
        ...[o + token * out + head * width * 4, out, batch.context, width, states, state],
      );
    }
  }
  kernels.reset(mark);
}

/** The state of each head, and the convolution's last inputs of its channels, and of b and c. */
function stateShape(plan: Mamba2Plan, weights: Pick<Weights, "share">): RecurrentShape {
  const own = weights.share(plan.heads);
  const ends = ownChannels(plan, own).map(([, channels]) => (rowLength(plan.conv.weight) - 1) * channels);
  return [own[1] * plan.width * plan.states, ...ends];
}

function memory(plan: Mamba2Plan, { width, tokens, piece }: RunSize): number {
  const { xbc, output, heads, states, conv } = plan;
  const [channels, inner] = [rowCount(xbc.weight), heads * plan.width];
  const products = slabMemory(xbc.weight, piece) + slabMemory(output.weight, piece);
  const small = channels * (rowLength(conv.weight) + 2) + plan.width * states + 3 * heads + inner;
  const all = tokens * (2 * channels + 2 * inner + heads);
  return 4 * (all + small + piece * (inner + 2 * width)) + products;
}
