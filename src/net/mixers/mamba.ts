import type { HParams } from "../../arch/hparams.js";
import type { MambaTraits } from "../../arch/traits.js";
import { rowCount, rowLength, type Tensor } from "../../tensor.js";
import { normalize } from "../norm.js";
import { bareNorm, type Finder, part } from "../plan/finder.js";
import type { Half, Linear, MixerPlan, NormPlan } from "../plan/types.js";
import { exchange, multiply, ownRows, packInput, slabMemory } from "../products/matmul.js";
import { type Rows, shareOfRows, type Weights } from "../products/weights.js";
import { batchTokens } from "../span.js";
import { piecesOf, type Work } from "../work.js";
import type { Mixer, PlanParts, RunSize } from "./mixer.js";
import { addOutput, advanceStates, convolve, project, recurrent, statePart } from "./recurrent.js";
import type { RecurrentShape } from "./state/recurrent-state.js";

/** The tensors of a block of Mamba; matrices that a file has fused are parts of one tensor here. */
export interface MambaPlan extends MixerPlan {
  readonly kind: "mamba";
  /** What is scanned, and the gate beside it. */
  readonly x: Linear;
  readonly z: Linear;
  /** [inner, kernel] and, if there is a bias, [inner]: every channel for itself. */
  readonly conv: Linear;
  /** From the convolved x: the step of few numbers, and how the state is fed and read. */
  readonly step: Linear;
  readonly b: Linear;
  readonly c: Linear;
  /** Of those three, where they are normed. */
  readonly norms: { readonly step: NormPlan; readonly b: NormPlan; readonly c: NormPlan } | undefined;
  /** From the step of few numbers to one for each channel. */
  readonly dt: Linear;
  /** [inner, states] */
  readonly a: Tensor;
  /** [inner] */
  readonly d: Tensor;
  readonly output: Linear;
}

export const mambaMixer: Mixer<MambaTraits, MambaPlan> = {
  kind: "mamba",
  plan,
  inputs: ({ x, z, step, b, c, dt, output }) => [
    ["ssm_in", [x, z]],
    ["ssm_x", [step, b, c]],
    ["ssm_dt", [dt]],
    ["ssm_out", [output]],
  ],
  memory,
  ...recurrent(stateShape),
  run,
};

function plan({ stepEpsilon }: MambaTraits, { find, hparams }: PlanParts): MambaPlan {
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
    norms: ownNorms(find) ?? (stepEpsilon === undefined ? undefined : bareNorms(hparams, stepEpsilon)),
    dt: find.linear("ssm_dt")!,
    a: find.tensor("ssm_a")!,
    d: find.tensor("ssm_d")!,
    output: find.linear("ssm_out")!,
  };
}

function ownNorms(find: Finder): MambaPlan["norms"] {
  const step = find.norm("ssm_dt_norm");
  return step && { step, b: find.norm("ssm_b_norm")!, c: find.norm("ssm_c_norm")! };
}

function bareNorms({ ssm: { timeStepRank, stateSize } }: HParams, epsilon: number): MambaPlan["norms"] {
  const ofStates = bareNorm(stateSize, { kind: "rms", epsilon });
  return { step: bareNorm(timeStepRank, { kind: "rms", epsilon }), b: ofStates, c: ofStates };
}

/**
 * x += output(scan(silu(conv(x(n)))) × silu(z(n))) with n = norm(from): Mamba's block (arXiv:2312.00752, figure 3). A
 * thread does the channels that are its rows of x.
 */
function run(work: Work, { norm, plan: layer, postNorm }: Half<MambaPlan>, from: number, x: number): void {
  const { kernels, weights, batch } = work;
  const tokens = batchTokens(batch);
  const inner = rowCount(layer.x.weight);
  const states = rowCount(layer.b.weight);
  const own = ownRows(weights, layer.x.weight);
  const room = (width: number) => kernels.reserve(tokens * width * 4);
  const start = kernels.mark();
  const scanned = { x: room(inner), dt: room(inner), b: room(states), c: room(states) };
  const gate = room(inner);
  const mark = kernels.mark();
  project(work, norm, from, "ssm_in", [
    [layer.x, scanned.dt],
    [layer.z, gate],
  ]);
  convolve(work, layer.conv, scanned.dt, scanned.x, [own]);
  exchange(work, tokens, [layer.x, scanned.x]);
  for (const [first, count] of piecesOf(batch)) {
    const convolved = scanned.x + first * inner * 4;
    work.squares?.add("ssm_x", convolved, count, inner);
    const input = packInput(work, convolved, count, [layer.step, layer.b, layer.c]);
    const [b, c] = [scanned.b + first * states * 4, scanned.c + first * states * 4];
    multiply(work, layer.b, input, b, "copy_columns");
    multiply(work, layer.c, input, c, "copy_columns");
    const rank = rowCount(layer.step.weight);
    const step = kernels.reserve(count * rank * 4);
    multiply(work, layer.step, input, step, "copy_columns");
    exchange(work, count, [layer.b, b], [layer.c, c], [layer.step, step]);
    if (layer.norms !== undefined) {
      normalize(work, layer.norms.step, step, step, count);
      normalize(work, layer.norms.b, b, b, count);
      normalize(work, layer.norms.c, c, c, count);
    }
    work.squares?.add("ssm_dt", step, count, rank);
    const dt = scanned.dt + first * inner * 4;
    multiply(work, layer.dt, packInput(work, step, count, [layer.dt]), dt, "copy_columns");
    kernels.reset(mark);
  }
  const [first, channels] = own;
  for (let token = 0; token < tokens; token++) {
    kernels.call("softplus")(scanned.dt + (token * inner + first) * 4, channels);
  }
  scan(work, layer, scanned, own);
  for (let token = 0; token < tokens; token++) {
    const at = (token * inner + first) * 4;
    kernels.call("silu_mul")(gate + at, scanned.x + at, scanned.x + at, channels);
  }
  exchange(work, tokens, [layer.x, scanned.x]);
  addOutput(work, layer.output, postNorm, scanned.x, x, "ssm_out");
  advanceStates(work);
  kernels.reset(start);
}

interface Scanned {
  readonly x: number;
  readonly dt: number;
  readonly b: number;
  readonly c: number;
}

/** The scan's outputs take the place of its inputs x. */
function scan(work: Work, layer: MambaPlan, { x, dt, b, c }: Scanned, [first, channels]: Rows): void {
  const { kernels, weights, batch } = work;
  const [inner, states] = [rowCount(layer.x.weight), rowCount(layer.b.weight)];
  const row = inner * 4;
  const mark = kernels.mark();
  const a = weights.transposed(kernels, layer.a) + first * 4;
  const d = weights.vector(kernels, layer.d) + first * 4;
  const scratch = kernels.reserve(states * 32);
  for (let chunk = 0; chunk < batch.chunks; chunk++) {
    const token = chunk * batch.context;
    const at = token * row + first * 4;
    kernels.call("ssm_scan")(
      x + at,
      dt + at,
      a,
      row,
      b + token * states * 4,
      c + token * states * 4,
      d,
      x + at,
      row,
      batch.context,
      channels,
      states,
      statePart(work, chunk, 0),
      scratch,
    );
  }
  kernels.reset(mark);
}

/** The scan's state [states][channels], and the convolution's last inputs [kernel - 1][channels]. */
function stateShape({ x, b, conv }: MambaPlan, weights: Pick<Weights, "share">): RecurrentShape {
  const [, channels] = shareOfRows(weights, rowCount(x.weight));
  return [rowCount(b.weight) * channels, (rowLength(conv.weight) - 1) * channels];
}

function memory({ x, b, step, output }: MambaPlan, { width, tokens, piece }: RunSize): number {
  const [inner, states] = [rowCount(x.weight), rowCount(b.weight)];
  const products = slabMemory(x.weight, piece) + slabMemory(output.weight, piece);
  return (
    4 * (tokens * (3 * inner + 2 * states) + piece * (2 * inner + 2 * width + rowCount(step.weight))) +
    products
  );
}
