import type { DecoderTraits } from "../../arch/architecture.js";
import type { HParams } from "../../arch/hparams.js";
import type { Model } from "../../model.js";
import {
  type BlockMatrix,
  type Norm,
  type Role,
  rowCount,
  rowLength,
  sliceRows,
  type Tensor,
} from "../../tensor.js";
import type { MambaPlan } from "../mixers/mamba.js";

/** y = x · weightᵀ + bias */
export interface Linear {
  /** [rows, k] */
  readonly weight: Tensor;
  /** [rows] */
  readonly bias: Tensor | undefined;
}

/** Weight and bias of a norm, as long as what it normalizes. */
export interface NormPlan {
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
}

/** The tensors of a block's attention. Matrices that a file has fused are parts of one tensor here. */
export interface AttentionPlan {
  readonly norm: NormPlan | undefined;
  readonly q: Linear;
  readonly k: Linear;
  readonly v: Linear;
  /** Of each head, or of all heads at once: as long as their weights are. */
  readonly qNorm: NormPlan | undefined;
  readonly kNorm: NormPlan | undefined;
  readonly output: Linear;
  readonly postNorm: NormPlan | undefined;
  /** Tokens a query sees, itself included; 0 for all. */
  readonly window: number;
}

/** down(act(gate(x)) × up(x)), or down(act(up(x))) without a gate. */
export interface MlpPlan {
  readonly gate: Linear | undefined;
  readonly up: Linear;
  readonly down: Linear;
}

/** A mixture: every token goes through some of the experts, and through the shared one if there is one. */
export interface ExpertsPlan {
  /** A row for each expert. */
  readonly router: Linear;
  readonly experts: readonly MlpPlan[];
  readonly used: number;
  readonly shared: MlpPlan | undefined;
  /** One row: how much of the shared expert a token gets; all of it when absent. */
  readonly sharedRouter: Linear | undefined;
}

/** The tensors of a block's feed-forward: one of `mlp` and `mixture`. */
export interface FeedForwardPlan {
  readonly norm: NormPlan | undefined;
  readonly mlp: MlpPlan | undefined;
  readonly mixture: ExpertsPlan | undefined;
  readonly postNorm: NormPlan | undefined;
}

/** Attention and a feed-forward. */
export interface TransformerPlan {
  readonly block: "transformer";
  readonly attention: AttentionPlan;
  readonly feedForward: FeedForwardPlan;
}

/** The tensors of one block, by what they do. */
export type LayerPlan = TransformerPlan | MambaPlan;

/** All that the forward pass needs to know of a model. Plain data. */
export interface DecoderPlan {
  readonly hparams: HParams;
  readonly traits: DecoderTraits;
  readonly token_embd: Tensor;
  readonly position_embd: Tensor | undefined;
  /** RoPE's divisors. */
  readonly rope_freqs: Tensor | undefined;
  /** The same for contexts up to the original one, and beyond. */
  readonly rope_factors_short: Tensor | undefined;
  readonly rope_factors_long: Tensor | undefined;
  readonly layers: readonly LayerPlan[];
  readonly output_norm: NormPlan;
  /** The embedding itself when the model is tied. */
  readonly output: Tensor;
}

/** Finds the tensors of a block by role, or those outside of blocks. */
class Finder {
  readonly #tensors: ReadonlyMap<string, Tensor>;
  readonly #layer: number | undefined;

  constructor(tensors: ReadonlyMap<string, Tensor>, layer?: number) {
    this.#tensors = tensors;
    this.#layer = layer;
  }

  tensor(role: Role): Tensor | undefined {
    return this.#tensors.get(key(role, this.#layer));
  }

  norm(role: Norm): NormPlan | undefined {
    const weight = this.tensor(role);
    return weight && { weight, bias: this.tensor(`${role}_bias`) };
  }

  linear(role: BlockMatrix): Linear | undefined {
    const weight = this.tensor(role);
    return weight && { weight, bias: this.tensor(`${role}_bias`) };
  }

  router(role: "router" | "router_shexp"): Linear | undefined {
    const weight = this.tensor(role);
    return weight && { weight, bias: undefined };
  }

  mlp(form: "" | "_exps" | "_shexp"): MlpPlan | undefined {
    const up = this.linear(`ffn_up${form}`);
    const down = this.linear(`ffn_down${form}`);
    return up && down && { gate: this.linear(`ffn_gate${form}`), up, down };
  }
}

/** Which tensor does what in the forward pass of a model; its tensors are complete, as binding has checked. */
export function planDecoder(model: Pick<Model, "architecture" | "hparams" | "tensors">): DecoderPlan {
  const { architecture, hparams, tensors } = model;
  const traits = architecture.decoder(hparams);
  const byRole = new Map(tensors.map((tensor) => [key(tensor.role, tensor.layer), tensor]));
  const outside = new Finder(byRole);
  const token_embd = outside.tensor("token_embd")!;
  return {
    hparams,
    traits,
    token_embd,
    position_embd: outside.tensor("position_embd"),
    rope_freqs: outside.tensor("rope_freqs"),
    rope_factors_short: outside.tensor("rope_factors_short"),
    rope_factors_long: outside.tensor("rope_factors_long"),
    layers: Array.from({ length: hparams.blockCount }, (_, layer) => {
      const find = new Finder(byRole, layer);
      if (traits.block === "mamba") return planMamba(find, hparams);
      const attention = planAttention(find, hparams, windowOf(traits, layer));
      return { block: "transformer", attention, feedForward: planFeedForward(find, hparams, traits) };
    }),
    output_norm: outside.norm("output_norm")!,
    output: outside.tensor("output") ?? token_embd,
  };
}

function windowOf({ window = 0, windowPeriod }: DecoderTraits, layer: number): number {
  const isLast = windowPeriod !== undefined && layer % windowPeriod === windowPeriod - 1;
  return isLast ? 0 : window;
}

function planAttention(find: Finder, h: HParams, window: number): AttentionPlan {
  const fused = find.linear("attn_qkv");
  const [q, k, v] = [h.headCount * h.keyLength, h.headCountKv * h.keyLength, h.headCountKv * h.valueLength];
  return {
    norm: find.norm("attn_norm_2") ?? find.norm("attn_norm"),
    q: find.linear("attn_q") ?? part(fused!, 0, q),
    k: find.linear("attn_k") ?? part(fused!, q, k),
    v: find.linear("attn_v") ?? part(fused!, q + k, v),
    qNorm: find.norm("attn_q_norm"),
    kNorm: find.norm("attn_k_norm"),
    output: find.linear("attn_output")!,
    postNorm: find.norm("attn_post_norm"),
    window,
  };
}

function planFeedForward(find: Finder, h: HParams, { parallel }: DecoderTraits): FeedForwardPlan {
  const mlp = find.mlp("");
  const stacked = find.mlp("_exps");
  return {
    // A parallel feed-forward without a norm of its own shares attention's; Falcon-40B calls its own attn_norm.
    norm: find.norm("ffn_norm") ?? (parallel ? find.norm("attn_norm") : undefined),
    mlp: mlp && withGate(mlp),
    mixture: stacked && {
      router: find.router("router")!,
      experts: Array.from({ length: h.expertCount }, (_, expert) => expertOf(stacked, expert)),
      used: h.expertUsedCount,
      shared: find.mlp("_shexp"),
      sharedRouter: find.router("router_shexp"),
    },
    postNorm: find.norm("ffn_post_norm"),
  };
}

/** Of up matrices with twice the rows, the first half is the gate. */
function withGate({ gate, up, down }: MlpPlan): MlpPlan {
  const width = rowLength(down.weight);
  if (rowCount(up.weight) !== 2 * width) return { gate, up, down };
  return { gate: part(up, 0, width), up: part(up, width, width), down };
}

function expertOf({ gate, up, down }: MlpPlan, expert: number): MlpPlan {
  const one = ({ weight }: Linear): Linear => {
    const [rows, columns] = weight.shape.slice(-2) as [number, number];
    return { weight: sliceRows(weight, expert * rows, rows, [rows, columns]), bias: undefined };
  };
  return { gate: gate && one(gate), up: one(up), down: one(down) };
}

function planMamba(find: Finder, { ssm }: HParams): MambaPlan {
  const { innerSize, stateSize, timeStepRank } = ssm;
  const [input, fromX] = [find.linear("ssm_in")!, find.linear("ssm_x")!];
  return {
    block: "mamba",
    norm: find.norm("attn_norm")!,
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

/** Some rows of a fused matrix. */
function part({ weight, bias }: Linear, first: number, count: number): Linear {
  return { weight: sliceRows(weight, first, count), bias: bias && sliceRows(bias, first, count) };
}

function key(role: Role, layer: number | undefined): string {
  return `${layer ?? ""} ${role}`;
}
