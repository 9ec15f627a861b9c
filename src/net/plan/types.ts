import type { HParams } from "../../arch/hparams.js";
import type {
  Activation,
  LayerTraits,
  NormKind,
  Residual,
  RopePairs,
  RouterTraits,
} from "../../arch/traits.js";
import type { Tensor } from "../../tensor.js";

// What the forward pass needs to know of a model, layer by layer. Plain data, and matrices that a file has fused are
// parts of one tensor here. Mixers add their own plans (src/net/mixers).

/** y = x · weightᵀ + bias */
export interface Linear {
  /** [rows, k] */
  readonly weight: Tensor;
  /** [rows] */
  readonly bias: Tensor | undefined;
}

/** A norm over rows as long as its weight, or of that length: they take its parts in turn. */
export interface NormPlan {
  readonly kind: NormKind;
  readonly epsilon: number;
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly length?: number;
}

/** What RoPE depends on, beside the positions. */
export interface RopeParameters
  extends Pick<
    HParams,
    | "ropeDimensionCount"
    | "ropeFreqBase"
    | "ropeScaling"
    | "ropeAttnFactor"
    | "ropeMscale"
    | "ropeOriginalContext"
  > {}

/** A table of angles; layers with the same one share the object. */
export interface RopePlan extends RopeParameters {
  readonly pairs: RopePairs;
  /** Divisors of each pair's frequency: for contexts up to the original one, and beyond. */
  readonly divisors: { readonly short: Tensor | undefined; readonly long: Tensor | undefined };
}

/** Floats `first` to `first + count` of those that a token takes from layer to layer. */
export type Columns = readonly [first: number, count: number];

/** What lets a token see those before it: a mixer's plan, by its kind. */
export interface MixerPlan {
  readonly kind: string;
  readonly rope?: RopePlan | undefined;
  /** The layer whose state it looks at, having none of its own. */
  readonly stateOf?: number | undefined;
  /** Where a token keeps what other layers look at, or finds it: part after part. */
  readonly kept?: readonly Columns[] | undefined;
}

/** down(act(gate(x)) × up(x)), or down(act(up(x))) without a gate. */
export interface MlpPlan {
  readonly gate: Linear | undefined;
  readonly up: Linear;
  readonly down: Linear;
  readonly activation: Activation;
  /**
   * How many standard deviations above its mean a token's gate must be, over all its numbers; what lies beyond is gated
   * with, and the rest is 0.
   */
  readonly sparsity?: number | undefined;
  /** Of what goes into `down`. */
  readonly subNorm?: NormPlan | undefined;
}

/** A mixture: every token goes through some of the experts, and through the shared one if there is one. */
export interface ExpertsPlan {
  /** Of what the experts see; they see what the feed-forward's norm gives where they have none of their own. */
  readonly norm: NormPlan | undefined;
  /** Of what the router sees, which else is what the experts see. */
  readonly routerNorm: NormPlan | undefined;
  /** A row for each expert. */
  readonly router: Linear;
  /** Added to the scores when experts are chosen, not to their weights. */
  readonly selectionBias: Tensor | undefined;
  /** [experts]: what an expert's weight is multiplied by. */
  readonly scales: Tensor | undefined;
  readonly routing: RouterTraits;
  readonly experts: readonly MlpPlan[];
  readonly used: number;
  /** The experts see fewer numbers, made of the hidden state by `down`; of the sum of theirs `up` makes what is added. */
  readonly latent: { readonly down: Linear; readonly up: Linear } | undefined;
  readonly shared: MlpPlan | undefined;
  /** One row: how much of the shared expert a token gets; all of it when absent. */
  readonly sharedRouter: Linear | undefined;
  /** Of what it gives, before it is added to what an MLP beside it gives. */
  readonly postNorm: NormPlan | undefined;
}

/** One of the two; or both, which are added before the feed-forward's norm behind them. */
export interface FeedForwardPlan {
  readonly mlp: MlpPlan | undefined;
  readonly mixture: ExpertsPlan | undefined;
  /** Of what the MLP gives, before it is added to what experts beside it give. */
  readonly mlpNorm: NormPlan | undefined;
}

/** Half of a layer: something between two norms, each of which may be absent. */
export interface Half<P> {
  readonly norm: NormPlan | undefined;
  readonly plan: P;
  readonly postNorm: NormPlan | undefined;
}

/** A layer's own part of what layers know of a token itself (src/net/layer-input.ts). */
export interface LayerInputPlan {
  /** Of the tokens' rows in the table. */
  readonly columns: Columns;
  /** Of the tokens' embeddings: this layer's rows, and the norm of what they give. */
  readonly model: Linear;
  readonly norm: NormPlan;
  readonly gate: Linear;
  readonly activation: Exclude<LayerTraits["inputActivation"], undefined>;
  readonly projection: Linear;
  readonly postNorm: NormPlan | undefined;
}

/** Square matrices that make other hidden states of one, or one of others: a matrix for each of the others. */
export interface StreamProjections {
  readonly matrices: readonly Linear[];
}

/** How a layer updates several hidden states with one of them (src/net/streams.ts). */
export interface StreamMixing {
  /** The state that goes through the layer. */
  readonly active: number;
  readonly norm: NormPlan;
  /** A row for each state. */
  readonly router: Linear;
  /** [count², count] and [count, count] */
  readonly predict: Tensor;
  readonly correct: Tensor;
  /** [width]: what the layer's own input sees is multiplied by it. */
  readonly scale: Tensor;
}

/** A learned way past the mixer: right · left, of few rows between them. */
export interface LowRankPlan {
  readonly left: Linear;
  readonly right: Linear;
  readonly postNorm: NormPlan;
}

/** What all layers' own inputs are made of. */
export interface LayerInputs {
  /** [vocabulary, layers × floats of each] */
  readonly table: Tensor;
  readonly embedding: Embedding;
}

/** What makes hidden states of tokens. */
export interface Embedding {
  readonly token_embd: Tensor;
  /** A row for each position, where positions are learned. */
  readonly position_embd: Tensor | undefined;
  /** What embeddings are multiplied by. */
  readonly embeddingScale: number | undefined;
  /** Of embeddings, before the first layer. */
  readonly embeddingNorm: NormPlan | undefined;
  /** What makes further hidden states of the first, where tokens have several. */
  readonly expand: StreamProjections | undefined;
}

export interface LayerPlan {
  readonly mixer: Half<MixerPlan>;
  readonly feedForward: Half<FeedForwardPlan> | undefined;
  /** Both halves see what the layer begins with. */
  readonly parallel: boolean;
  /** Beside the mixer; what both give, and the state itself, is divided by √2. */
  readonly lowRank: LowRankPlan | undefined;
  /** Where tokens have several hidden states. */
  readonly streams: StreamMixing | undefined;
  readonly input: LayerInputPlan | undefined;
  /** One number that multiplies what the layer gives. */
  readonly outputScale: Tensor | undefined;
  readonly residual: Residual;
}

/** What turns the last hidden states into logits. */
export interface HeadPlan {
  /** Where tokens have several hidden states: of all but the first. */
  readonly merge: StreamProjections | undefined;
  readonly output_norm: NormPlan;
  /** The embedding itself when the model is tied. */
  readonly output: Tensor;
  readonly outputBias: Tensor | undefined;
  readonly logitScale: number | undefined;
  readonly logitSoftcap: number | undefined;
}

export interface DecoderPlan extends Embedding {
  readonly hparams: HParams;
  /** Floats that a token takes from layer to layer: its hidden states, and what layers keep for others. */
  readonly floats: number;
  readonly layerInputs: LayerInputs | undefined;
  readonly layers: readonly LayerPlan[];
  readonly head: HeadPlan;
}
